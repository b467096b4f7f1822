"""The command `holdfast lab`: a local AWS IoT Core, faults, and judgement over device programs."""
