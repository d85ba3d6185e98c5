"""Names: DigitalMicrograph's scripts share their global names; this script runs in names of its own.

Otherwise two scripts that both have a process(), or a parameter of the same name, would change each other.
What executing this one has changed of the others' names is put back at once.
"""

import DigitalMicrograph as DM

# No variable can have these names, as they are no words.
SHARED, BEFORE = "dmlink: the names of all scripts", "dmlink: what they were"
RUNNING = "dmlink: scripts that run"


def own_names(mechanics, before, given):
    """Return the names that the script runs in; None in those of all scripts, once it has run in its own.

    `mechanics` is the frame of the function that this stands in, `before` what the names of all scripts were
    before this one began, `given` what the script may use besides.
    """
    caller = mechanics.f_back
    names = caller.f_globals
    home = [name for name in names if name.startswith("__")]
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
        copies.clear()  # DM frees no image that Python holds
    for name, value in given.items():
        names.setdefault(name, value)
    return names
