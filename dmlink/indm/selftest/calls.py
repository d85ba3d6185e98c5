"""Calls: the DigitalMicrograph calls that dmlink makes; a test compares them with docs/dm-calls.tsv."""

from __future__ import annotations

FUNCTIONS = (
    "CloseImage", "CountImageDocuments", "CreateImage", "DeleteImage", "DoEvents",
    "ExecuteScriptString", "FindImageByID", "GetActiveCamera", "GetFrontImage", "GetImageDocument",
    "GetPersistentTagGroup", "GetROIFromID", "IsScriptOnMainThread", "NewImageDocument", "NewROI",
    "OkCancelDialog", "OpenImage", "Py_ScriptObject",
)  # fmt: skip
METHODS = {
    "Py_ScriptObject": (
        "ImageHandleDataChangedEvent", "UnregisterAllListeners", "WindowHandleWindowClosedEvent",
    ),
    "Py_Image": (
        "FindNextImage", "GetDataType", "GetDimensionCalibration", "GetID", "GetImageDisplay",
        "GetIntensityUnitString", "GetLabel", "GetName", "GetNumArray", "GetNumDimensions",
        "GetOrCreateImageDocument", "GetTagGroup", "SetDimensionCalibration", "SetIntensityUnitString",
        "SetName", "ShowImage", "UpdateImage",
    ),
    "Py_ImageDocument": (
        "AddImageDisplay", "GetImage", "GetName", "GetWindow", "SetName", "Show",
    ),
    "Py_ImageDisplay": (
        "AddNewComponent", "AddROI", "CountChildren", "CountROIs", "GetChild", "GetROI", "GetRect",
        "GetType",
    ),
    "Py_ROI": (
        "GetID", "GetLine", "GetRectangle", "IsRectangle", "SetRectangle", "SetVolatile",
    ),
    "Py_Component": (
        "CountChildren", "GetChild", "GetRect", "GetType", "SetForegroundColor",
        "TextAnnotationSetText",
    ),
    "Py_TagGroup": (
        "CopyTagsFrom", "DeleteTagWithLabel", "GetTagAsBoolean", "GetTagAsDouble", "GetTagAsLong",
        "SetTagAsBoolean", "SetTagAsLong",
    ),
    "Py_Camera": (
        "CreateImageForAcquire", "GetFrameInContinuousMode", "StartContinuousAcquisition",
        "StopContinuousAcquisition",
    ),
}  # fmt: skip
