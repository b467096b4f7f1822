"""What a run of the lab found, and the forms in which it is told: HTML, JUnit XML, text, JSON.

model   the result document, which everything else is made of
gaps    what the times between connection attempts say about a device's backoff
html, junit, text    one form each
sample  a made-up document, for tests
"""
