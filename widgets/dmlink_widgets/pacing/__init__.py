"""Pacing: nothing is drawn until the browser has painted earlier drawings.

A page queues everything it is sent: without pacing, its picture falls seconds to minutes behind.
So each panel has a Fence, which acknowledges painted drawings, and one Painter draws all panels, at
most two drawings ahead of the acknowledgements. Panels that nobody can see are not drawn.
"""
