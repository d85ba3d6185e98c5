"""Timelapse: copies the view every INTERVAL seconds and saves each copy with its tags."""

import os
import time

import DigitalMicrograph as DM

FOLDER = r"C:\Users\Public\timelapse"
INTERVAL = 0.05
N = 4

os.makedirs(FOLDER, exist_ok=True)
os.chdir(FOLDER)
view = DM.GetFrontImage()
start = time.time()
for i in range(N):
    copy = view.Clone()
    copy.SetName("timelapse_%03d" % i)
    copy.GetTagGroup().SetTagAsFloat("Timelapse:Seconds", time.time() - start)
    copy.GetTagGroup().SetTagAsLong("Timelapse:Frame", i)
    copy.SaveAsGatan(os.path.join(FOLDER, copy.GetName()))
    del copy
    DM.Sleep(INTERVAL)
del view
with open("timelapse.txt", "w") as log:
    log.write("%d images\n" % N)
print("Saved", len([name for name in os.listdir(".") if name.endswith(".dm4")]), "images")
