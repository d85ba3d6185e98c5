"""Names: DigitalMicrograph's scripts share their global names; this script runs in its own namespace.

Otherwise two scripts that both have a process(), or a parameter with the same name, would affect each other.
Names of other scripts that executing this one has changed are restored immediately.
"""

import DigitalMicrograph as DM

# No variable can have these names, because they are not identifiers.
SHARED, BEFORE = "dmlink: the names of all scripts", "dmlink: what they were"
RUNNING = "dmlink: scripts that run"


def own_names(mechanics, before, given):
    """Return the script's own namespace; None in the shared one, after the script has run in its own.

    `mechanics` is the frame of the surrounding function, `before` the names of all scripts
    before this one started, `given` additional names for the script.
    """
    caller = mechanics.f_back
    names = caller.f_globals
    home = [name for name in list(names) if name.startswith("__")]  # others run beside it
    if SHARED not in names:
        own = dict({name: names[name] for name in home}, DM=DM)
        own.update({SHARED: names, BEFORE: before, RUNNING: names.setdefault(RUNNING, {})})
        exec(caller.f_code, own)
        return None
    shared, theirs = names[SHARED], names.pop(BEFORE)
    for name in set(names).difference(home, [SHARED, RUNNING]):
        if name in theirs:
            shared[name] = theirs[name]
        else:
            shared.pop(name, None)
    for copies in (theirs, before):
        copies.clear()  # DM does not free an image while Python refers to it
    for name, value in given.items():
        names.setdefault(name, value)
    return names
