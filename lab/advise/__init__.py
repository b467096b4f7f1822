"""Device Advisor at home: AWS IoT Device Advisor's published test cases, run by the fault relay."""
