"""kubernetes/ and docker/compose.yaml: fields that exist, parts that fit together, and servers that
start with the configuration in them."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest
from harness.ensemble import until
from harness.ports import free_port
from harness.servers import oxkeeper_binary
from harness.suites import go_program
from scripts.prefix import ROOT
from scripts.test_entrypoint import Container, image_variables

NAME = {"app.kubernetes.io/name": "oxkeeper"}


def documents(path):
    """The documents of a YAML file; a field that Kubernetes does not know fails the test."""
    program = go_program(ROOT / "compat-tests" / "manifests")
    done = subprocess.run([program, ROOT / path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def kubernetes():
    return {(each["kind"], each["metadata"]["name"]): each for each in documents("kubernetes/oxkeeper.yaml")}


def status(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def test_a_member_with_the_config_map_is_alive_and_alone_not_ready(tmp_path):
    """Started as the pod would start it, from the text of the manifest."""
    text = (ROOT / "kubernetes" / "oxkeeper.yaml").read_text()
    block = text[text.index("zoo.cfg: |\n") + len("zoo.cfg: |\n"):text.index("\n---\n")]
    admin, metrics = free_port(), free_port()
    config = re.sub(r"^    ", "", block, flags=re.MULTILINE) + "\n"
    config = config.replace("8080", str(admin)).replace("=7000", f"={metrics}").replace("/data", f"{tmp_path}/data")
    config = re.sub(r"2888:3888;2181", lambda _: f"{free_port()}:{free_port()};{free_port()}", config)
    container = Container(tmp_path)
    (container.folders["ZOO_CONF_DIR"] / "zoo.cfg").write_text(config)
    command = re.search(r"- sh\n +- -c\n +- (.*)\n", text).group(1)
    # Through env, because the entrypoint gives away folders only where root starts the server itself.
    command = command.replace("/docker-entrypoint.sh zkServer.sh", f"{container.script} env zkServer.sh")
    started = container.command(HOSTNAME="oxkeeper-2", OXKEEPER_BIN=str(oxkeeper_binary()),
                                PATH=f"{ROOT / 'bin'}:{container.command()['env']['PATH']}")
    with subprocess.Popen(**{**started, "args": ["sh", "-c", command]}) as member:
        try:
            until(lambda: status(admin, "/livez") == 200 or member.poll() is not None, "it is alive")
            assert member.poll() is None
            assert (container.folders["ZOO_DATA_DIR"] / "myid").read_text() == "3\n"
            assert status(admin, "/readyz") == 503, "no quorum"
        finally:
            member.terminate()
    assert member.returncode == 0


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("go"), reason="needs Go")
def test_kubernetes_knows_every_field_and_the_parts_fit(kubernetes):
    config = kubernetes["ConfigMap", "oxkeeper"]["data"]["zoo.cfg"]
    spec = kubernetes["StatefulSet", "oxkeeper"]["spec"]
    headless = kubernetes["Service", "oxkeeper-members"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]

    servers = re.findall(r"^server\.(\d+)=(.*)$", config, re.MULTILINE)
    assert servers == [(str(n + 1), f"oxkeeper-{n}.oxkeeper-members:2888:3888;2181") for n in range(spec["replicas"])]
    assert (spec["serviceName"], headless["clusterIP"]) == ("oxkeeper-members", "None")
    assert headless["publishNotReadyAddresses"] is True
    for selector in (spec["selector"]["matchLabels"], headless["selector"],
                     kubernetes["Service", "oxkeeper"]["spec"]["selector"],
                     kubernetes["PodDisruptionBudget", "oxkeeper"]["spec"]["selector"]["matchLabels"]):
        assert selector == spec["template"]["metadata"]["labels"] == NAME
    assert spec["replicas"] - kubernetes["PodDisruptionBudget", "oxkeeper"]["spec"]["maxUnavailable"] >= 2

    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"client": 2181, "quorum": 2888, "election": 3888, "admin": 8080, "metrics": 7000}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "admin"
    assert "admin.serverPort=8080" in config

    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    (claim,) = spec["volumeClaimTemplates"]
    assert mounts == {claim["metadata"]["name"]: "/data", pod["volumes"][0]["name"]: "/conf"}
    assert pod["volumes"][0]["configMap"]["name"] == "oxkeeper"
    assert pod["securityContext"]["runAsUser"] == 1000
    assert re.search(r"^USER 1000:1000$", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("go"), reason="needs Go")
def test_the_compose_file_describes_three_members_that_differ_in_their_number(tmp_path):
    (compose,) = documents("docker/compose.yaml")
    services = compose["services"]
    written = []
    for sid in (1, 2, 3):
        service = services[f"zoo{sid}"]
        variables = {key: str(value) for key, value in service["environment"].items()}
        assert set(variables) - {"ZOO_SERVERS", "ZOO_MY_ID", "ZOO_CFG_EXTRA", "ZOO_4LW_COMMANDS_WHITELIST"} == set()
        assert not set(variables) & set(image_variables())
        container = Container(tmp_path / str(sid))
        assert container.run("true", **variables).returncode == 0
        config, myid = container.written()
        assert myid == f"{sid}\n"
        assert f"server.{sid}={service['hostname']}:2888:3888;2181\n" in config
        written.append(config)
    assert len(set(written)) == 1
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (ROOT / "docker" / source).is_dir(), source
