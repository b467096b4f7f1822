# Configuration and local API: the surface that people and programs touch.
set(SURFACE_SOURCES
    ack_groups.cpp
    boot_keeper.cpp
    config_check.cpp
    outbox_keys.cpp
    config_endpoints.cpp
    config_file.cpp
    config_keys.cpp
    counting_disk.cpp
    heartbeat_keeper.cpp
    hold_up.cpp
    http_place.cpp
    identity_install.cpp
    identity_json.cpp
    key_guard.cpp
    local_access.cpp
    local_client.cpp
    local_groups.cpp
    local_protocol.cpp
    local_requests.cpp
    local_server.cpp
    local_socket.cpp
    machine_json.cpp
    metrics.cpp
    metrics_config.cpp
    metrics_report.cpp
    metrics_service.cpp
    network_files.cpp
    network_json.cpp
    outbox_files.cpp
    outbox_look.cpp
    outbox_repair.cpp
    page_service.cpp
    patient_file.cpp
    log_file.cpp
    log_gate.cpp
    log_output.cpp
    log_text.cpp
    log_upload.cpp
    logger.cpp
    power_keeper.cpp
    guard_keeper.cpp
    safe_mode.cpp
    service_report.cpp
    start_record.cpp
    store_aside.cpp
    watch_program.cpp
    watchdog_keeper.cpp)
set(SURFACE_TESTS ack_groups_test.cpp boot_keeper_test.cpp config_endpoints_test.cpp config_login_test.cpp config_test.cpp job_board_test.cpp local_access_test.cpp
                  local_protocol_test.cpp local_server_test.cpp
                  log_gate_test.cpp log_text_test.cpp logger_test.cpp
                  metrics_report_test.cpp metrics_service_test.cpp metrics_test.cpp
                  outbox_files_test.cpp outbox_keys_test.cpp page_service_test.cpp service_report_test.cpp
                  start_record_test.cpp)
set_source_files_properties(metrics_service.cpp page_service.cpp
                            PROPERTIES COMPILE_DEFINITIONS HOLDFAST_VERSION="${PROJECT_VERSION}")
set_source_files_properties(metrics_test.cpp PROPERTIES COMPILE_DEFINITIONS
                                                        HOLDFAST_DOCS="${PROJECT_SOURCE_DIR}/docs")
