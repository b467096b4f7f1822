# holdfast_brokers_tests(PROGRAM): CTest runs the program once for each broker, not once for each case,
# as a broker takes long to start. Its cases are named BROKER_….
function(holdfast_brokers_tests program)
  foreach(broker mosquitto ejabberd rabbitmq nats)
    add_test(NAME ${program}.${broker} COMMAND ${program} --gtest_filter=*/${broker}_*)
    # Not any skipped case: it would hide a failed one.
    set_tests_properties(${program}.${broker} PROPERTIES LABELS brokers TIMEOUT 600
                         FAIL_REGULAR_EXPRESSION "Running 0 tests"
                         SKIP_REGULAR_EXPRESSION "skipped for want of")
  endforeach()
endfunction()
