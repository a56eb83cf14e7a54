"""Commands over HTTP and four-letter words, with what must differ between two servers taken out."""

import json
import re
import socket

from harness.ports import free_port

# Of every answer, whatever the server: values that are never the same twice.
VARYING = set("""
    data_dir data_log_dir datadir_size logdir_size data_dir_size log_dir_size client_port
    remote_socket_address session_id established last_response_time last_zxid last_processed_zxid zxid
    last_latency avg_latency max_latency min_latency uptime timestamp version
    packets_received packets_sent packets_received packets_sent
    all_ports
    last_buffer_size min_buffer_size max_buffer_size zab_counter zab_epoch
    open_file_descriptor_count max_file_descriptor_count initial_configuration
    outstanding_requests num_alive_client_connections
""".split())

MASKS = [
    (r"3\.9\.5-\S+, built on .*", "VERSION"),
    (r"127\.0\.0\.1:\d+:\d+", "QUORUM"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"0x[1-9][0-9a-f]{13,15}\b", "SESSION"),
    (r"expire at \w{3} \w{3} \d\d \d\d:\d\d:\d\d \w+ \d{4}", "expire at DATE"),
    (r"(\w+Port)=\d+", r"\1=PORT"),
    (r"(dataDir|dataLogDir)=/\S+/version-2", r"\1=FOLDER/version-2"),
    (r"(dataDirSize|dataLogSize)=\d+", r"\1=BYTES"),
    (r"(datadir_size|logdir_size): \d+", r"\1: BYTES"),
    (r"min/avg/max: \d+/\d+\.\d+/\d+", "min/avg/max: LATENCY"),
    (r"\b(est|llat|avglat|maxlat|minlat)=\d+", r"\1=N"),
    (r"\blresp=[1-9]\d*", "lresp=N"),
    (r"\b(lzxid|Zxid: )=?0x[0-9a-f]{1,11}\b", r"\1=ZXID"),
    (r"^(Received|Sent): \d+$", r"\1: N"),
]


def on():
    """Keys of zoo.cfg for an AdminServer of its own, and its port."""
    port = free_port()
    return {"admin.enableServer": "true", "admin.serverAddress": "127.0.0.1",
            "admin.serverPort": port}, port


def send(port, data, half=False):
    """What the server answers to these bytes until it closes the connection."""
    parts = []
    with socket.create_connection(("127.0.0.1", port), timeout=60) as conn:
        try:
            conn.sendall(data)
            if half:
                conn.shutdown(socket.SHUT_WR)
            while part := conn.recv(65536):
                parts.append(part)
        except OSError:
            pass
    return b"".join(parts)


def ask(port, method, path, headers=""):
    """Status, headers by lower-case name, and body."""
    length = "Content-Length: 0\r\n" if method in ("POST", "PUT", "PATCH") else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}{headers}\r\n"
    head, _, body = send(port, head.encode()).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value for name, value in pairs}, body


def command(port, name):
    """The fields of a command's answer, in their order."""
    status, headers, body = ask(port, "GET", f"/commands/{name}")
    assert (status, headers["content-type"]) == (200, "application/json"), (name, status, body)
    return json.loads(body)


def masked(value, key=None):
    """The same without what varies: types in the place of values, lists of objects sorted."""
    if isinstance(value, dict):
        numbered = all(re.fullmatch(r"-?\d{6,}", name) for name in value)
        if value and numbered:
            # How they are spread over buckets of time is chance.
            entries = (entry for entries in value.values() for entry in masked(entries))
            return {"N": sorted(entries, key=str)}
        return {name: masked(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return sorted((masked(each, key) for each in value), key=str)
    if key in VARYING or isinstance(value, int) and abs(value) > 1 << 40:
        return type(value).__name__
    if isinstance(value, str):
        return re.sub(r"^([\d.]+):\d+$", r"\1:PORT", value)
    return value


def text(answer):
    """A word's answer without what varies; lines that have no order of their own sorted."""
    for pattern, instead in MASKS:
        answer = re.sub(pattern, instead, answer, flags=re.MULTILINE)
    # How they are spread over buckets of time is chance.
    answer = re.sub(r"^\d+ expire at DATE:\n", "", answer, flags=re.MULTILINE)
    answer = re.sub(r"Sets \(\d+\)", "Sets (N)", answer)
    lines = answer.split("\n")
    if any(line.startswith((" ", "\t")) for line in lines):
        lines.sort()
    return "\n".join(lines)
