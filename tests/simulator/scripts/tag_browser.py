"""Tag browser: prints all tags of the image in front as a tree, and searches them for a word."""

import DigitalMicrograph as DM

WORD = "Exposure"


def walk(group, depth=0, path=""):
    found = []
    for i in range(group.CountTags()):
        label = group.GetTagLabel(i) or "[%d]" % i
        here = path + ":" + label if path else label
        ok, text = group.GetTagAsText(label)
        if ok:
            print("  " * depth + label + " = " + text)
        else:
            inner = group.GetTagAsTagGroup(label)
            kind = "list" if inner.IsList() else "group"
            print("  " * depth + label + " (" + kind + " of %d)" % len(inner))
            found += walk(inner, depth + 1, here)
        if WORD in label:
            found.append(here)
    return found


tags = DM.GetFrontImage().GetTagGroup()
mine = DM.NewTagGroup()
steps = DM.NewTagList()
steps.InsertTagAsString(0, "acquired")
steps.InsertTagAsLongRect(1, 0, 0, 4, 8)
steps.InsertTagAsShortPoint(2, 3, 4)
mine.SetTagAsTagGroup("Steps", steps)
mine.SetTagAsBoolean("Seen", True)
mine["Reader"] = "tag browser"
tags.SetTagAsTagGroup("Browser", mine)
if tags.DoesTagExist("Browser:Reader"):
    for where in walk(tags):
        print("Found", where)
tags.OpenBrowserWindow(False)
removed = tags.DeleteTagWithLabel("Browser")
print("Removed", removed, tags.DeleteTagWithLabel("Browser"))

settings = DM.GetPersistentTagGroup()
settings.SetTagAsString("Tag browser:Word", WORD)
settings.SetTagAsUInt16("Tag browser:Runs", settings.GetTagAsLong("Tag browser:Runs")[1] + 1)
print("Run", settings.GetTagAsLong("Tag browser:Runs")[1])
