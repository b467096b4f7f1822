"""Which statements of an AWS IoT policy allow more than one device needs: wildcards over actions,
or over all clients, topics or filters, as AWS IoT Device Defender's audit looks for them."""

DATA_ACTIONS = ("iot:Connect", "iot:Publish", "iot:Subscribe", "iot:Receive", "iot:RetainPublish")
KINDS = ("client/", "topic/", "topicfilter/")


def _list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def _all_of_a_kind(resource):
    """`*`, or an ARN whose client, topic or filter is a wildcard from its beginning."""
    if resource == "*":
        return True
    rest = resource.split(":", 5)[-1]
    if rest.startswith("*"):
        return True
    return any(rest[len(kind):] and rest.startswith(kind) and rest[len(kind)] in "*#+?"
               for kind in KINDS)


def excess(policy):
    """What is too much, a sentence each."""
    found = []
    for number, statement in enumerate(_list(policy.get("Statement")), 1):
        if statement.get("Effect") != "Allow":
            continue
        where = f"statement {number}"
        for name in ("NotAction", "NotResource"):
            if name in statement:
                found.append(f"{where}: {name} allows all but what it names")
        actions = _list(statement.get("Action"))
        found += [f"{where}: the action {action} is a wildcard" for action in actions
                  if "*" in action or "?" in action]
        if any("*" in action or action in DATA_ACTIONS for action in actions):
            found += [f"{where}: the resource {resource} is a wildcard over all devices'"
                      for resource in _list(statement.get("Resource"))
                      if _all_of_a_kind(resource)]
    return found
