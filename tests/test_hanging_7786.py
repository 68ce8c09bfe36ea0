
import os, pathlib, subprocess, sys, time, pytest

@pytest.mark.parametrize("number", range(2))
def test_it_waits(stack, number):
    site = stack(worker=True)
    daemon = "import os, time; os.fork() and os._exit(0); os.setsid(); print(os.getpid(), flush=True)"
    daemon += "; time.sleep(600)"
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    orphan = subprocess.Popen([sys.executable, "-c", daemon], stdout=subprocess.PIPE).stdout.readline()
    stubborn = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True)
    stubborn.stdout.readline()
    pids = [os.getpid(), int(orphan), stubborn.pid, site.web.pid, site.worker.pid]
    place = pathlib.Path(os.environ["PIDS"])
    (place / f".{os.getpid()}").write_text(" ".join(map(str, pids)))
    (place / f".{os.getpid()}").rename(place / f"test-{os.getpid()}")
    time.sleep(600)
