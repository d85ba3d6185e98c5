"""The gallery's cells over recordings give the same as live."""

import distributed
import numpy as np
import pandas as pd
import pytest
import zarr

import dmlink
from dmlink import LiveCell, data, gallery
from dmlink.recordings.writing.file_names import file_name


@pytest.fixture(scope="module")
def client():
    """A worker for all tests."""
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A few frames of the nanoparticles, one quarter of each."""
    path = tmp_path_factory.mktemp("recording") / "gold.npy"
    whole = data.nanoparticles()
    np.save(path, np.load(whole, mmap_mode="r")[::20, 128:384, 40:296])
    path.with_suffix(".json").write_bytes(whole.with_suffix(".json").read_bytes())
    with dmlink.open(path) as recording:
        yield recording


def parts_of(result, name):
    """Return the individual results in a result, by name."""
    if result is None:
        return {}
    if isinstance(result, dmlink.Several):
        return {key: part for n, r in result.results.items() for key, part in parts_of(r, n).items()}
    if isinstance(result, dmlink.Overlay):
        marks = {mark.name or f"{name} {mark.kind}": mark for mark in result.marks}
        return {name: result.image, **marks}
    return {name: result}


def columns_of(result):
    """Return the columns in a table of results for a result that is neither an image nor plain numbers."""
    if isinstance(result, dmlink.Points):
        return dict(zip("yx", result.yx.T, strict=True))
    if isinstance(result, dmlink.Boxes):
        return dict(zip(("top", "left", "bottom", "right"), result.tlbr.T, strict=True))
    return result.columns if isinstance(result, dmlink.Table) else {"text": [result.text]}


@pytest.mark.parametrize("name", gallery.names())
def test_process_equals_live_cell(name, client, recording, tmp_path):
    cell = LiveCell(gallery.text(name), name)
    out = dmlink.process(recording, cell, tmp_path / "out", client=client, progress=False)
    live = [parts_of(cell.run(frame), name) for frame in recording]
    assert any(live)
    for key, part in next(parts for parts in live if parts).items():
        given = [(i, parts[key]) for i, parts in enumerate(live) if key in parts]
        if part.kind in {"profile", "image"}:
            stack = zarr.open_array(out / f"{file_name(key)}.ome.zarr" / "0", mode="r")
            for i, result in given:
                values = np.squeeze(result.values)
                shown = np.moveaxis(stack[i], 0, -1) if values.ndim == 3 else np.squeeze(stack[i])
                np.testing.assert_array_equal(shown, values)
        elif part.kind == "scalar":
            table = pd.read_csv(out / f"{file_name(key)}.csv")
            for row, (_, result) in enumerate(given):
                numbers = table.iloc[row, -len(result.series) :].to_numpy(float)
                np.testing.assert_allclose(numbers, list(result.series.values()), rtol=1e-6)
        elif part.kind == "event":
            table = pd.read_csv(out / f"{file_name(key)}.csv")
            happened = [[i, result.text] for i, result in given if result.happened]
            assert table[["frame", "event"]].to_numpy().tolist() == happened
        else:
            rows = [pd.DataFrame({"frame": i, **columns_of(result)}) for i, result in given]
            expected = pd.concat(rows, ignore_index=True)
            table = pd.read_csv(out / f"{file_name(key)}.csv")[list(expected.columns)]
            pd.testing.assert_frame_equal(table, expected, check_dtype=False)
