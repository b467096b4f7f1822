# Configuration and local API: the surface that people and programs touch.
set(SURFACE_SOURCES
    config_check.cpp
    outbox_keys.cpp
    config_file.cpp
    config_keys.cpp
    identity_install.cpp
    identity_json.cpp
    local_client.cpp
    local_protocol.cpp
    local_server.cpp
    local_socket.cpp
    outbox_files.cpp
    outbox_look.cpp
    outbox_repair.cpp
    log_file.cpp
    log_gate.cpp
    log_output.cpp
    log_text.cpp
    log_upload.cpp
    logger.cpp
    service_report.cpp)
set(SURFACE_TESTS config_test.cpp log_gate_test.cpp log_text_test.cpp logger_test.cpp local_protocol_test.cpp local_server_test.cpp
                  outbox_files_test.cpp outbox_keys_test.cpp service_report_test.cpp)
