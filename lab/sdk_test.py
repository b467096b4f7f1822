#!/usr/bin/env python3
"""Runs AWS's own device SDK (npm) against a Region of the lab.

    sdk_test.py --bin DIR --modules DIR   DIR/bin of a build; where npm installed the SDK

Exit: 0 all passed, 1 something failed, 77 the SDK is not installed.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DEVICES = ("five", "alpn", "echo", "denied", "session", "twin", "old", "shadow5", "shadow311", "jobs5",
           "jobs311", "beside5", "beside311", "commands", "assumer")
UPDATED = "updated"     # has an agent and an updater of ours
CLAIMS = ("claim5keys", "claim5csr", "claim311keys", "claim311csr")
TEMPLATE = {
    "Parameters": {"SerialNumber": {"Type": "String"}, "AWS::IoT::Certificate::Id": {"Type": "String"}},
    "Resources": {
        "thing": {"Type": "AWS::IoT::Thing",
                  "Properties": {"ThingName": {"Fn::Join": ["", ["pump-", {"Ref": "SerialNumber"}]]}}},
        "certificate": {"Type": "AWS::IoT::Certificate",
                        "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"},
                                       "Status": "Active"}},
        "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": "fleet"}}},
    "DeviceConfiguration": {"site": "north"}}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]})


def claim_policy(arn):
    """What AWS gives a claim certificate, and no more."""
    topics = ["$aws/certificates/create/*", "$aws/certificates/create-from-csr/*",
              "$aws/provisioning-templates/fleet/provision/*"]
    return policy(("iot:Connect", "*"),
                  (["iot:Publish", "iot:Receive"], [f"{arn}topic/{topic}" for topic in topics]),
                  ("iot:Subscribe", [f"{arn}topicfilter/{topic}" for topic in topics]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--modules", type=pathlib.Path, required=True)
    parser.add_argument("--keep", action="store_true", help="keeps the lab's directory")
    parser.add_argument("only", nargs="?", help="names of tests, as a regular expression")
    asked = parser.parse_args()
    if shutil.which("node") is None or not (asked.modules / "aws-iot-device-sdk-v2").is_dir():
        print("node or the SDK is missing; tools/setup sdk installs them")
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-sdk-"))
    lab = [str(asked.bin.resolve() / "holdfast-lab"), "--directory", str(folder / "lab")]
    try:
        subprocess.run([*lab, "up", "--detach"], check=True)
        return run(asked, folder, lab)
    finally:
        subprocess.run([*lab, "down"], check=False)
        if not asked.keep:
            shutil.rmtree(folder)


def prepare_fleet(folder, lab, about):
    """A provisioning template, claim certificates, and a request signed by a key of ours."""
    def aws(*words):
        subprocess.run([*lab, "aws", *words], check=True, stdout=subprocess.DEVNULL)
    arn = f"arn:aws:iot:{about['region']}:{about['account']}:"
    aws("iot", "create-policy", "--policy-name", "fleet", "--policy-document",
        policy(("iot:*", "*")))
    about["template"] = "fleet"
    aws("iot", "create-provisioning-template", "--template-name", "fleet", "--enabled",
        "--template-body", json.dumps(TEMPLATE))
    (folder / "claim.json").write_text(claim_policy(arn), encoding="utf-8")
    for name in CLAIMS:
        subprocess.run([*lab, "device", name, "--out", str(folder / name), "--policy",
                        str(folder / "claim.json")], check=True, stdout=subprocess.DEVNULL)
        about["devices"][name] = {"name": name, "cert": str(folder / name / "device.pem"),
                                  "key": str(folder / name / "device.key")}
    subprocess.run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=pump",
                    "-keyout", str(folder / "csr.key"), "-out", str(folder / "csr.pem")],
                   check=True, capture_output=True)
    about["csr"] = {"request": (folder / "csr.pem").read_text(encoding="ascii"),
                    "key": (folder / "csr.key").read_text(encoding="ascii")}


@contextlib.contextmanager
def updater(asked, folder, lab, about):
    """A device with Holdfast's agent and updater, if they were built."""
    programs = [asked.bin.resolve() / name for name in ("holdfastd", "holdfast-updater")]
    if not all(program.exists() for program in programs):
        yield
        return
    device = folder / UPDATED
    subprocess.run([*lab, "device", UPDATED, "--out", str(device)], check=True,
                   stdout=subprocess.DEVNULL)
    (device / "updater.toml").write_text(
        '[agent]\nsocket = "holdfast.sock"\n[update]\ndirectory = "updater"\n'
        'allow_commands = ["echo"]\n', encoding="utf-8")
    (device / "updater").mkdir()
    about["updater"] = UPDATED
    with contextlib.ExitStack() as ends:
        log = ends.enter_context(open(device / "log", "wb"))
        for program, config in zip(programs, ("device.toml", "updater.toml")):
            process = subprocess.Popen([program, "--config", device / config], stderr=log,
                                       stdin=subprocess.DEVNULL)
            ends.callback(process.wait, 40)
            ends.callback(process.terminate)
        yield


def run(asked, folder, lab):
    region = next((folder / "lab").glob("*/endpoint.json"))
    about = json.loads(region.read_text(encoding="utf-8"))
    about["command"] = lab
    about["devices"] = {}
    for name in DEVICES:
        out = folder / name
        subprocess.run([*lab, "device", name, "--out", str(out)], check=True,
                       stdout=subprocess.DEVNULL)
        about["devices"][name] = {"name": name, "cert": str(out / "device.pem"),
                                  "key": str(out / "device.key")}
    prepare_fleet(folder, lab, about)
    only = ["--test-name-pattern", asked.only] if asked.only else []
    # Node looks for modules beside the file; a link keeps them out of the source tree.
    (folder / "clients.test.js").write_text((HERE / "sdk" / "clients.test.js").read_text("utf-8"),
                                            encoding="utf-8")
    (folder / "node_modules").symlink_to(asked.modules.resolve())
    with updater(asked, folder, lab, about):
        (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")
        done = subprocess.run(["node", *only, "clients.test.js"], cwd=folder, timeout=300,
                              env={**os.environ, "LAB": str(folder / "about.json")}, check=False)
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
