"""`holdfast lab device NAME`: a thing with certificate and policy, and the files that it needs."""
import argparse
import json
import os
import pathlib

from .place import ACCOUNT, ApiFailure, Trouble

SOCKET = "holdfast.sock"  # its local API, beside the file
CONFIGURATION = """\
# Made by `holdfast lab`; start it with: holdfastd --config device.toml
profile = "{profile}"
[connection]
host = "{host}"
port = {port}
client_id = "{name}"
[tls]
ca_file = "ca.pem"
cert_file = "device.pem"
key_file = "device.key"
[outbox]
directory = "outbox"
[local]
socket = "%s"
""" % SOCKET
SECOND = """\
[[endpoint]]
name = "second"
host = "{host}"
port = {port}
"""
# For devices of which nothing is known.
PERMISSIVE_POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}


def default_policy(name, region):
    """What a device of its own needs, and no more (AWS's guidance: no wildcards over others)."""
    arn = f"arn:aws:iot:{region}:{ACCOUNT}:"
    own = [f"{name}/*", f"$aws/things/{name}/*", f"$aws/rules/*/{name}/*",
           f"$aws/commands/things/{name}/executions/*"]
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": f"{arn}client/{name}"},
        {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive", "iot:RetainPublish"],
         "Resource": [f"{arn}topic/{topic}" for topic in own]},
        {"Effect": "Allow", "Action": "iot:Subscribe",
         "Resource": [f"{arn}topicfilter/{topic}" for topic in own]},
        # Over HTTPS:
        {"Effect": "Allow",
         "Action": ["iotjobsdata:GetPendingJobExecutions", "iotjobsdata:DescribeJobExecution",
                    "iotjobsdata:StartNextPendingJobExecution", "iotjobsdata:UpdateJobExecution",
                    "iot:GetThingShadow", "iot:UpdateThingShadow", "iot:DeleteThingShadow"],
         "Resource": [f"{arn}thing/{name}", f"{arn}thing/{name}/*"]}]}


def ensure(region, operation, /, **members):
    """Creates; what is there already is good."""
    try:
        return region.call(operation, **members)
    except ApiFailure as failure:
        if failure.type != "ResourceAlreadyExistsException":
            raise
        return {}


def write(path, text, mode=0o644):
    """Never lets a key be readable by others, not even for a moment."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w",
              encoding="utf-8") as file:
        file.write(text)


def allow(region, name, certificate, policy=None):
    """The certificate (its ARN) is the thing's, and may do what its policy says."""
    ensure(region, "CreatePolicy", policyName=f"{name}-policy",
           policyDocument=json.dumps(policy or default_policy(name, region.name)))
    region.call("AttachPolicy", policyName=f"{name}-policy", target=certificate)
    region.call("AttachThingPrincipal", thingName=name, principal=certificate)


def configure(folder, name, host, port, profile):
    """device.toml, for holdfastd and programs on the library."""
    write(folder / "device.toml", CONFIGURATION.format(name=name, host=host, port=port,
                                                       profile=profile))


def configure_two(folder, host, port):
    """device2.toml: device.toml with another Region behind the first; the file."""
    made = folder / "device2.toml"
    write(made, (folder / "device.toml").read_text(encoding="utf-8") + SECOND.format(host=host, port=port))
    return made


def create(region, name, folder, policy=None):
    """The device in `region` and its files in `folder`; the certificate's id."""
    ensure(region, "CreateThing", thingName=name)
    made = region.call("CreateKeysAndCertificate", setAsActive=True)
    allow(region, name, made["certificateArn"], policy)
    folder.mkdir(parents=True, exist_ok=True)
    endpoint = region.endpoint()
    write(folder / "ca.pem", pathlib.Path(endpoint["ca"]).read_text(encoding="ascii"))
    write(folder / "device.pem", made["certificatePem"])
    write(folder / "device.key", made["keyPair"]["PrivateKey"], 0o600)
    configure(folder, name, endpoint["host"], endpoint["mqtt"], "aws-iot-core")
    return made["certificateId"]


def run(place, words):
    parser = argparse.ArgumentParser(
        prog="holdfast lab device",
        description="Makes a device: thing, key and certificate, a policy of its own, and a "
                    "configuration for holdfastd.")
    parser.add_argument("name", metavar="NAME", help="thing name and client id")
    parser.add_argument("--region", metavar="NAME")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR",
                        help="where its files go (default: NAME)")
    parser.add_argument("--policy", type=pathlib.Path, metavar="FILE",
                        help="its policy, instead of one that allows its own topics")
    asked = parser.parse_args(words)
    policy = None
    if asked.policy:
        try:
            policy = json.loads(asked.policy.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Trouble(f"--policy {asked.policy}: {error}") from error
    region = place.choose(asked.region)
    folder = asked.out or pathlib.Path(asked.name)
    certificate = create(region, asked.name, folder, policy)
    endpoint = region.endpoint()
    print(f"thing {asked.name}, certificate {certificate}\nendpoint {endpoint['host']}, port "
          f"{endpoint['mqtt']}\nfiles in {folder}: ca.pem device.pem device.key device.toml")
    return 0
