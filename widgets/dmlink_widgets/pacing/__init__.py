"""Pacing: nothing is drawn before the browser has painted the drawings before it.

A page queues whatever it is sent, however much: without pacing its picture falls seconds to minutes behind.
So each panel has a Fence, which answers when the browser has painted, and one Painter draws all panels, at
most two drawings ahead of the answers. Panels that nobody sees get nothing.
"""
