#!/usr/bin/env python3
"""Starts OpenStack Swift, with its S3 interface, and where asked Keystone before it, on free loopback ports.

    venv/bin/python openstack.py [--keystone] [--memcached PROGRAM] [--host ADDRESS]

Prints one line of JSON when all is up: where the servers are, which processes they are, and who may use them. They live
until the standard input ends, however the process that holds it ended; then they are killed and their folder is removed.
With memcached, a request costs Swift about half. With another host than 127.0.0.1, Swift is reached there.
"""
import argparse
import base64
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

VENV = os.path.dirname(sys.executable)
KEEPER = os.getpid()


def free_ports(count):
    """Ports that nobody listens on; all are held until all are known, so that none comes twice."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Servers:
    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="baton-openstack-")
        self.children = {}
        for name in ("conf", "log", "node/d1", "keystone/policy.d"):
            os.makedirs(self.path(name))

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def environment(self, **more):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "PYTHON"))}
        return {**kept, "PYTHONWARNINGS": "ignore", **more}

    def run(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment(), cwd=self.root)
        if done.returncode:
            raise RuntimeError(f"{command[0]} {command[1:3]} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")

    def spawn(self, name, command, **more):
        log = open(self.path("log", name), "ab")
        libc = ctypes.CDLL(None)

        def die_with_keeper():
            libc.prctl(1, signal.SIGKILL)
            if os.getppid() != KEEPER:
                os._exit(1)

        self.children[name] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root,
            env=self.environment(**more), preexec_fn=die_with_keeper)

    def wait(self, name, url):
        deadline = time.monotonic() + 90
        while True:
            if self.children[name].poll() is not None or time.monotonic() > deadline:
                with open(self.path("log", name), errors="replace") as log:
                    raise RuntimeError(f"{name} did not come up:\n{log.read()[-4000:]}")
            try:
                urllib.request.urlopen(url, timeout=5).read()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)

    def stop(self):
        for child in self.children.values():
            child.kill()
        for child in self.children.values():
            child.wait()
        shutil.rmtree(self.root, ignore_errors=True)


BACKEND = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {root}/conf
devices = {root}/node
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_level = WARNING
[pipeline:main]
pipeline = healthcheck {kind}-server
[filter:healthcheck]
use = egg:swift#healthcheck
[app:{kind}-server]
use = egg:swift#{kind}
log_requests = false
{more}
[{kind}-replicator]
[{kind}-auditor]
[{kind}-updater]
interval = 10
concurrency = 1
slowdown = 0
recon_cache_path = {root}
"""

PROXY = """
[DEFAULT]
bind_ip = {host}
bind_port = {port}
workers = 0
user = {user}
swift_dir = {root}/conf
client_timeout = 60
log_level = WARNING
[pipeline:main]
pipeline = {pipeline}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
request_node_count = 1
node_timeout = 30
recoverable_node_timeout = 30
conn_timeout = 5
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = {memcached}
memcache_max_connections = 128
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
dns_compliant_bucket_names = false
max_upload_part_num = 10000
[filter:tempauth]
use = egg:swift#tempauth
fernet_key_k1 = {fernet}
active_fernet_key_id = k1
token_life = 86400
user_test_tester = {password} .admin
user_test_reader = {password}
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
rate_limit_after_segment = 100000
[filter:dlo]
use = egg:swift#dlo
rate_limit_after_segment = 100000
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
[filter:symlink]
use = egg:swift#symlink
[filter:s3token]
use = egg:swift#s3token
auth_uri = {keystone}
reseller_prefix = AUTH_
delay_auth_decision = True
{service}
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {keystone}
delay_auth_decision = True
include_service_catalog = False
interface = public
service_token_roles_required = True
{service}
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
"""

# Keystone refuses anonymous /v3/s3tokens: the middleware logs in as the service user.
SERVICE = """auth_url = {keystone}
auth_type = password
user_domain_id = default
project_domain_id = default
username = swift
password = {password}
project_name = service
"""

BEFORE = "catch_errors gatekeeper healthcheck {cache}listing_formats bulk tempurl"
AFTER = "copy slo dlo versioned_writes symlink proxy-server"

KEYSTONE = """
[DEFAULT]
use_stderr = true
default_log_levels = keystone=WARNING,sqlalchemy=WARNING
[database]
connection = sqlite:///{root}/keystone/keystone.db
[token]
provider = fernet
expiration = 86400
[fernet_tokens]
key_repository = {root}/keystone/fernet
[credential]
key_repository = {root}/keystone/credential
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = dogpile.cache.memory
[oslo_policy]
policy_dirs = {root}/keystone/policy.d
"""

# Keystone reads sys.argv as its own options, and sqlite takes one writer: hence one thread, and no waitress-serve.
SERVE_KEYSTONE = """import sys
sys.argv = ['keystone']
from keystone.wsgi.api import application
import waitress
waitress.serve(application, host='127.0.0.1', port={port}, threads=1, ident=None)
"""

# The updaters take no swift_dir from their settings.
SERVE_UPDATER = """import sys
from swift.common.utils import set_swift_dir
set_swift_dir('{root}/conf')
from swift.{module}.updater import main
sys.argv[0] = 'swift-{kind}-updater'
main()
"""


class Keystone:
    """Its first tokens, projects, users and services, by its own API."""

    def __init__(self, url, password):
        self.url = url
        self.password = password
        self.token = None

    def call(self, path, body=None, method=None):
        request = urllib.request.Request(
            self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **({"X-Auth-Token": self.token} if self.token else {})})
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return answer.headers, json.loads(text) if text else None

    def login(self, user, project):
        self.token = None
        headers, body = self.call("/auth/tokens", {"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": user, "domain": {"id": "default"}, "password": self.password}}},
            "scope": {"project": {"name": project, "domain": {"id": "default"}}}}})
        self.token = headers["X-Subject-Token"]
        return body["token"]

    def make(self, kind, **fields):
        return self.call(f"/{kind}s", {kind: fields})[1][kind]["id"]

    def user(self, name, project, roles):
        user = self.make("user", name=name, password=self.password, domain_id="default")
        for role in roles:
            self.call(f"/projects/{project}/users/{user}/roles/{role}", method="PUT")
        return user

    def seed(self, swift_url):
        self.login("admin", "admin")
        roles = {role["name"]: role["id"] for role in self.call("/roles")[1]["roles"]}
        service = self.make("project", name="service", domain_id="default")
        project = self.make("project", name="chi", domain_id="default")
        self.user("swift", service, [roles["admin"], roles["service"]])
        user = self.user("alice", project, [roles["member"]])
        store = self.make("service", name="swift", type="object-store")
        for interface in ("public", "internal"):
            self.make("endpoint", service_id=store, interface=interface, region_id="RegionOne",
                      url=swift_url + "/v1/AUTH_%(project_id)s")
        self.login("alice", "chi")
        credential = self.call(f"/users/{user}/application_credentials",
                               {"application_credential": {"name": "baton"}})[1]["application_credential"]
        ec2 = self.call(f"/users/{user}/credentials/OS-EC2", {"tenant_id": project})[1]["credential"]
        return {"authURL": self.url, "user": "alice", "password": self.password, "project": "chi",
                "region": "RegionOne", "applicationID": credential["id"], "applicationSecret": credential["secret"],
                "accessKey": ec2["access"], "secretKey": ec2["secret"]}


def start(servers, with_keystone, memcached, host):
    root, user = servers.root, subprocess.check_output(["id", "-un"], text=True).strip()
    password = secrets.token_hex(12)
    names = ["account", "container", "object", "proxy", "keystone", "keystone-proxy", "memcached"]
    ports = dict(zip(names, free_ports(len(names))))
    if memcached:
        servers.spawn("memcached", [memcached, "-u", user, "-l", "127.0.0.1", "-p", str(ports["memcached"])])
    servers.write("conf/swift.conf", "[swift-hash]\nswift_hash_path_prefix = baton\nswift_hash_path_suffix = tests\n")
    for kind in ("account", "container", "object"):
        builder = servers.path("conf", f"{kind}.builder")
        tool = f"{VENV}/swift-ring-builder"
        servers.run(tool, builder, "create", "4", "1", "1")
        servers.run(tool, builder, "add", f"r1z1-127.0.0.1:{ports[kind]}/d1", "1")
        servers.run(tool, builder, "rebalance")
        more = "container_update_timeout = 10\nslow = 0" if kind == "object" else ""
        servers.write(f"conf/{kind}.conf", BACKEND.format(
            kind=kind, port=ports[kind], user=user, root=root, more=more))
        servers.spawn(kind, [f"{VENV}/swift-{kind}-server", servers.path("conf", f"{kind}.conf"), "verbose"])

    keystone = f"http://127.0.0.1:{ports['keystone']}/v3"

    def proxy(name, auth):
        servers.write(f"conf/{name}.conf", PROXY.format(
            host=host, port=ports[name], user=user, root=root, keystone=keystone, password=password,
            pipeline=f"{BEFORE.format(cache='cache ' if memcached else '')} {auth} {AFTER}",
            memcached=f"127.0.0.1:{ports['memcached']}", fernet=base64.urlsafe_b64encode(os.urandom(32)).decode(),
            service=SERVICE.format(keystone=keystone, password=password)))
        servers.spawn(name, [f"{VENV}/swift-proxy-server", servers.path("conf", f"{name}.conf"), "verbose"])

    proxy("proxy", "s3api tempauth")
    for kind, module in (("object", "obj"), ("container", "container")):
        servers.spawn(f"{kind}-updater", [
            sys.executable, "-c", SERVE_UPDATER.format(root=root, module=module, kind=kind),
            servers.path("conf", f"{kind}.conf"), "verbose"])
    url = f"http://{host}:{ports['proxy']}"
    result = {"folder": root, "swift": {
        "url": url, "authURL": url + "/auth/v1.0", "user": "test:tester", "password": password,
        "accessKey": "test:tester", "secretKey": password}}
    if with_keystone:
        settings = servers.path("keystone", "keystone.conf")
        servers.write("keystone/keystone.conf", KEYSTONE.format(root=root))
        manage = [f"{VENV}/keystone-manage", "--config-file", settings]
        group = subprocess.check_output(["id", "-gn"], text=True).strip()
        servers.run(*manage, "db_sync")
        servers.run(*manage, "fernet_setup", "--keystone-user", user, "--keystone-group", group)
        servers.run(*manage, "credential_setup", "--keystone-user", user, "--keystone-group", group)
        servers.run(*manage, "bootstrap", "--bootstrap-password", password, "--bootstrap-public-url", keystone,
                    "--bootstrap-internal-url", keystone, "--bootstrap-region-id", "RegionOne")
        servers.spawn("keystone", [sys.executable, "-c", SERVE_KEYSTONE.format(port=ports["keystone"])],
                      OS_KEYSTONE_CONFIG_DIR=servers.path("keystone"), OS_KEYSTONE_CONFIG_FILES="keystone.conf")
        servers.wait("keystone", keystone)
        behind = f"http://{host}:{ports['keystone-proxy']}"
        result["keystone"] = {"url": behind, **Keystone(keystone, password).seed(behind)}
        # The order matters: with authtoken after s3token every S3 call is refused.
        proxy("keystone-proxy", "authtoken s3api s3token keystoneauth")
        servers.wait("keystone-proxy", behind + "/healthcheck")
    for kind in ("account", "container", "object"):
        servers.wait(kind, f"http://127.0.0.1:{ports[kind]}/healthcheck")
    servers.wait("proxy", url + "/healthcheck")
    result["processes"] = {name: child.pid for name, child in servers.children.items()}
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keystone", action="store_true")
    parser.add_argument("--memcached")
    parser.add_argument("--host", default="127.0.0.1")
    wanted = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    servers = Servers()
    try:
        print(json.dumps(start(servers, wanted.keystone, wanted.memcached, wanted.host)), flush=True)
        while sys.stdin.buffer.read(4096):
            pass
    except (RuntimeError, OSError) as error:
        print(json.dumps({"failure": str(error)}), flush=True)
    finally:
        servers.stop()


main()
