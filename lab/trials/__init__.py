"""The command `holdfast lab torture`: scenarios of failure over any device program."""
