"""The seven TLS cases. The judges look at trace events only."""
from . import cases_mqtt
from .verdict import failed, not_applicable, passed, seen, warned

SECONDS = 120
CLOSE_NOTIFY = 0
LARGE_PACKET = 100 * 1024
PACKET_REST = 32  # more than header, lengths and properties take
RECORD = 16 * 1024


def first(events, name):
    return next((event for event in events if event["ev"] == name), None)


def alerts_of(handshake):
    return [alert for alert in handshake.get("alerts", ())
            if alert["by"] == "peer" and alert["number"] != CLOSE_NOTIFY]


def words_of(handshake):
    if handshake.get("established"):
        return f"handshake complete: {handshake.get('version')}, {handshake.get('suite')}"
    alerts = ", ".join(alert["name"] for alert in alerts_of(handshake)) or "none"
    return f"handshake failed: {handshake.get('problem', handshake.get('how'))}; alerts: {alerts}"


def judge_handshake(events):
    """TLS_Connect and TLS_Large_Size_Server_Cert."""
    handshakes = [event for event in events if event["ev"] == "tls"]
    if not handshakes:
        return failed("the device did not come to a TLS handshake")
    good = next((each for each in handshakes if each.get("established")), None)
    if good is None:
        return failed("no TLS handshake was completed",
                      seen(handshakes[-1], words_of(handshakes[-1])))
    if alerts_of(good):
        return warned("the handshake is complete, but the device sent TLS alerts",
                      seen(good, words_of(good)))
    return passed("the TLS handshake was completed", seen(good, words_of(good)))


def judge_refusal(events, alert_wanted=False):
    """Of a server certificate that a device must not accept."""
    handshakes = [event for event in events if event["ev"] == "tls"]
    if not handshakes:
        return failed("the device did not come to a TLS handshake")
    good = next((each for each in handshakes if each.get("established")), None)
    if good is not None:
        return failed("the device accepted the server's certificate",
                      seen(good, words_of(good)))
    words = seen(handshakes[0], words_of(handshakes[0]))
    if alert_wanted and not any(map(alerts_of, handshakes)):
        return warned("the device refused the certificate, but sent no TLS alert", words)
    return passed("the device refused the server's certificate", words)


def judge_suites(events):
    hello = next((event for event in events if event["ev"] == "client_hello" and
                  "suites" in event), None)
    if hello is None:
        return failed("no ClientHello that can be read")
    by_standing = {}
    for suite in hello["suites"]:
        by_standing.setdefault(suite["aws"], []).append(suite["name"])
    evidence = [seen(hello, f"{standing}: {', '.join(names)}")
                for standing, names in by_standing.items()]
    if "unsupported" in by_standing and by_standing.keys() & {"recommended", "supported"}:
        return warned("the device also offers suites that AWS IoT Core does not have", *evidence)
    if "recommended" in by_standing:
        return passed("the device offers recommended suites and no unsupported ones", *evidence)
    if "supported" in by_standing:
        return warned("the device offers supported suites, but no recommended one", *evidence)
    return failed("the device offers no suite that AWS IoT Core has", *evidence)


def _handshake(bench, faults, judge, complete):
    """Lets the device come once, or in the refusal cases until it has shown its answer."""
    bench.begin(faults)
    bench.wait(complete, SECONDS)
    return judge(bench.events())


def _established(events):
    return any(event["ev"] == "tls" and event.get("established") for event in events)


def _tried(events):
    return first(events, "tls")


def tls_connect(bench):
    return _handshake(bench, {}, judge_handshake, _established)


def large_certificate(bench):
    return _handshake(bench, {"tls": {"fault": "oversized-chain"}}, judge_handshake, _established)


def unsecure_certificate(bench):
    return _handshake(bench, {"tls": {"fault": "unknown-ca"}}, judge_refusal, _tried)


def incorrect_name(bench):
    return _handshake(bench, {"tls": {"fault": "wrong-name"}}, judge_refusal, _tried)


def expired_certificate(bench):
    return _handshake(bench, {"tls": {"fault": "expired"}},
                      lambda events: judge_refusal(events, alert_wanted=True), _tried)


def cipher_suites(bench):
    return _handshake(bench, {}, judge_suites, lambda events: first(events, "client_hello"))


def maximum_fragments(bench):
    def size_for(hello, topic):
        most = hello.get("properties", {}).get("maximum_packet_size", LARGE_PACKET)
        return max(1, min(LARGE_PACKET, most) - len(topic) - PACKET_REST)
    topic, sent, answer = cases_mqtt.deliver(bench, {"tls": {"record_bytes": "16KiB"}}, size_for)
    if sent and sent["size"] < RECORD:
        return not_applicable("the device takes no packet that fills a record of 16 KiB")
    return cases_mqtt.judge_delivery(topic, sent, answer,
                                     "a message in TLS records of maximum size")


CASES = {
    "TLS_Connect": tls_connect,
    "TLS_Receive_Maximum_Size_Fragments": maximum_fragments,
    "TLS_Support_AWS_IoT_Cipher_Suites": cipher_suites,
    "TLS_Large_Size_Server_Cert": large_certificate,
    "TLS_Unsecure_Server_Cert": unsecure_certificate,
    "TLS_Incorrect_Subject_Name_Server_Cert": incorrect_name,
    "TLS_Expired_Server_Cert": expired_certificate,
}
