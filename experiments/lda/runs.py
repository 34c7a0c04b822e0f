"""Trains topics with vem and reads what `vem evaluate` measures: shared by the scripts of this folder."""
import json
import os
import shutil
import subprocess


def execute(command):
    """Processor seconds (start of the program and reading included) and peak megabytes of a command that must succeed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    message = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{message}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def train(vem, folder, data, settings, seed=1):
    """A run of one thread in `folder`: processor seconds and peak megabytes."""
    command = [vem, "train", "lda", "--data", data, "--out", folder, "--force", "--seed", str(seed), "--threads", "1"]
    for setting in settings:
        command += ["--set", setting]
    return execute(command)


def evaluate(vem, folder, data=None, held_out=None):
    """The numbers of `vem evaluate` for the last checkpoint; without data for the run's own held-out documents."""
    command = [vem, "evaluate", folder, "--checkpoint", "last"]
    command += ["--data", data] if data else []
    command += ["--held-out", held_out] if held_out else []
    execute(command)
    with open(os.path.join(folder, "evaluation.json")) as file:
        return json.load(file)


def chosen(vem, folder, data, validation, settings, passes, seed=1):
    """Of one fit after several numbers of passes the one that completes the validation documents best: its perplexity
    of these, passes, folder and processor seconds."""
    run, fits, seconds = os.path.join(folder, "run"), [], 0
    os.makedirs(folder, exist_ok=True)
    for epochs in passes:
        if not fits:
            seconds += train(vem, run, data, settings + [f"train.epochs={epochs}"], seed)[0]
        else:
            seconds += execute([vem, "train", "--resume", run, "--set", f"train.epochs={epochs}"])[0]
        kept = os.path.join(folder, str(epochs))
        shutil.copytree(run, kept, dirs_exist_ok=True)
        fits.append((evaluate(vem, kept, validation)["completion_perplexity"], epochs, kept, seconds))
    return min(fits)


def header(*names):
    print("| " + " | ".join(names) + " |\n" + "| --- " * len(names) + "|", flush=True)


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
