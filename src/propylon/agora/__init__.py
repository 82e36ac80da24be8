"""The agora: "session or token?", answered by experiments on the reader's own machine.

Each file in ``experiments`` is one question of the debate: what was claimed, how it is measured, and a verdict that is
computed from what was measured. ``running`` runs them, ``results`` is what they leave behind, ``report`` tells it.
They see Propylon from outside: the public API, real sockets, real stores, a real browser.
"""
