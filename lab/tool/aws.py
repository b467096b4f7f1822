"""`holdfast lab aws SERVICE OPERATION --option value…`: the AWS CLI's words, spoken to the lab."""
import json
import pathlib
import re
import sys

from . import device
from .place import Trouble

SERVICES = ("iot", "iot-data", "iot-jobs-data", "iam", "lab")
# Members whose text is a document of its own: never taken apart here.
DOCUMENTS = {"policyDocument", "PolicyDocument", "AssumeRolePolicyDocument", "document",
             "templateBody", "certificatePem", "caCertificate", "caCertificatePem",
             "verificationCertificate",
             "certificateSigningRequest", "token", "tokenSignature"}
# Members that are lists even when one value is given.
LISTS = {"targets", "files", "policyNames", "resources", "actions", "searchableAttributes"}
# Options of the AWS CLI itself: where to, what of the answer, and how it is printed.
GLOBALS = ("region", "query", "output")
IGNORED = ("cli-binary-format", "cli-pager", "endpoint-url")  # there is but one way here
# Options that save a member of the answer to a file; a key is for its owner only.
OUTFILES = {"certificatePemOutfile": ("certificatePem", 0o644),
            "publicKeyOutfile": ("keyPair.PublicKey", 0o644),
            "privateKeyOutfile": ("keyPair.PrivateKey", 0o600)}
# Operations of a data plane that have the name of another one.
DATA_PLANE = {"DescribeJobExecution"}

HELP = """\
usage: holdfast lab aws [--region NAME] SERVICE OPERATION [--option VALUE…]

SERVICE is iot, iot-data, iot-jobs-data, iam or lab; OPERATION and options are those of the AWS CLI where
they exist. A value may be file://PATH; a JSON object or list is taken as such; --flag alone is true,
--no-flag false. --query NAME.NAME and --output text print one member; --…-outfile FILE saves one.
docs/lab.md lists the operations. Examples:

  holdfast lab aws iot create-thing --thing-name pump-17
  holdfast lab aws iot create-policy --policy-name p --policy-document file://policy.json
  holdfast lab aws iot create-job --job-id j1 --targets arn:aws:iot:eu-central-1:123456789012:thing/pump-17 \\
      --document '{"operation":"reboot"}'
  holdfast lab aws iot-data update-thing-shadow --thing-name pump-17 \\
      --payload '{"state":{"desired":{"rpm":1480}}}'
  holdfast lab aws iot-data publish --topic plant/command --qos 1 --payload go
  holdfast lab aws lab put-switches --redelivery-ms 5000

Exit: 0 done; 1 the operation failed; 2 wrong usage; 254 the lab cannot be reached.
"""


def pascal(words):
    return "".join(word[:1].upper() + word[1:] for word in words.split("-"))


def camel(words):
    name = pascal(words)
    return name[:1].lower() + name[1:]


def member_name(service, option):
    """"thing-name" is thingName, in IAM ThingName; the lab's own switches keep their words."""
    if service == "lab":
        return option.replace("-", "_")
    return pascal(option) if service == "iam" else camel(option)


def value_of(service, name, text):
    """What the text of an option stands for."""
    if text.startswith("file://"):
        try:
            text = pathlib.Path(text[len("file://"):]).read_text(encoding="utf-8")
        except OSError as error:
            raise Trouble(f"--{name}: {error}") from error
    if name in DOCUMENTS or (service, name) == ("iot-data", "payload"):
        return text
    if text[:1] in "{[" or text in ("true", "false"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise Trouble(f"--{name}: no JSON: {error}") from error
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"\w+=[^,]*(,\w+=[^,]*)*", text):  # the AWS CLI's short form
        return {key: value_of(service, key, value)
                for key, _, value in (part.partition("=") for part in text.split(","))}
    return text


def parse(service, words):
    """Options to the members of a request; words that belong to no option come second."""
    members, loose = {}, []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("--"):
            loose.append(word)
            continue
        option, equals, given = word[2:].partition("=")
        values = [given] if equals else []
        while not equals and at < len(words) and not words[at].startswith("--"):
            values.append(words[at])
            at += 1
        name = member_name(service, option)
        if name in LISTS:
            members[name] = [value_of(service, name, value) for value in values]
            if len(values) == 1 and isinstance(members[name][0], list):
                members[name] = members[name][0]
        elif not values:
            members[name[2:3].lower() + name[3:] if option.startswith("no-") else name] = \
                not option.startswith("no-")
        else:
            members[name] = value_of(service, name, values[0])
            loose += values[1:]  # the file that a document goes to
    return members, loose


def operation_name(service, word):
    name = "".join("CA" if part == "ca" else pascal(part) for part in word.split("-"))
    return f"jobs-data:{name}" if service == "iot-jobs-data" and name in DATA_PLANE else name


def select(output, path):
    """What --query names. Of JMESPath the lab knows names, dots and [0]."""
    for name, index in re.findall(r"(\w+)(?:\[(\d+)\])?(?:\.|$)", path):
        output = output.get(name) if isinstance(output, dict) else None
        if index and isinstance(output, list):
            output = output[int(index)] if int(index) < len(output) else None
    return output


def run(place, words):
    """Exit code of the command."""
    region = None
    while words[:1] == ["--region"] and len(words) > 1:
        region, words = words[1], words[2:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0 if words else 2
    if words[0] not in SERVICES or len(words) < 2:
        print(f"holdfast lab aws: SERVICE is one of {', '.join(SERVICES)}, then an operation; see "
              "--help", file=sys.stderr)
        return 2
    service, word, *options = words
    members, loose = parse(service, options)
    asked = {name: members.pop(member_name(service, name), None) for name in (*GLOBALS, *IGNORED)}
    files = {name: members.pop(name) for name in OUTFILES if name in members}
    output = place.choose(asked["region"] or region).call(operation_name(service, word), **members)
    for name, file in files.items():
        what, mode = OUTFILES[name]
        device.write(pathlib.Path(file), select(output, what), mode)
    payload = output.pop("payload", None) if loose else None
    if payload is not None:  # as the AWS CLI: the document goes to a file
        text = payload if isinstance(payload, str) else json.dumps(payload)
        pathlib.Path(loose[0]).write_text(text, encoding="utf-8")
    if asked["query"]:
        output = select(output, asked["query"])
    if output and asked["output"] == "text" and not isinstance(output, dict):
        print("\t".join(map(str, output)) if isinstance(output, list) else output)
    elif output:
        print(json.dumps(output, indent=4, ensure_ascii=False))
    return 0
