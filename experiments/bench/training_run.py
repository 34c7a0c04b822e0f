#!/usr/bin/python3
"""A whole training run of vem against a usual PyTorch script, in turn, one thread each, in one run.

Usage: python3 experiments/bench/training_run.py [--epochs 10] [--rounds 3] [--vem build/vem] [--json FILE]

From the files of Fashion-MNIST to a saved model: data loading, training on 50,000 images re-binarised each time, the
bound of 10,000 held-out ones after each epoch, and a checkpoint. The script has what most have: a DataLoader over a
dataset of images that binarises each, eager PyTorch with Adam. Where the processor has products of bfloat16, vem runs
with them, too. All bounds are printed; they must be within 2 %.
"""
import argparse, json, os, subprocess, sys, tempfile, time

from torch_vae import VAE, images, torch
import turns

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--json", default="", help="file for the results")
arguments = parser.parse_args()
torch.set_num_threads(1)


class Binarised(torch.utils.data.Dataset):
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return torch.bernoulli(self.rows[i].float() / 255)


def script(folder):
    begin = time.perf_counter()
    rows = images()
    train = torch.utils.data.DataLoader(Binarised(rows[:50000]), batch_size=128, shuffle=True)
    held_out = torch.utils.data.DataLoader(Binarised(rows[50000:]), batch_size=128)
    model = VAE([512, 512], 20, torch.relu)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(arguments.epochs):
        total = 0
        for x in train:
            optimizer.zero_grad()
            loss = model.loss(x)
            loss.backward()
            optimizer.step()
            total += loss.item()
        with torch.no_grad():
            bound = -sum(model.loss(x).item() * len(x) for x in held_out) / 10000
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, os.path.join(folder, "script.pt"))
    return time.perf_counter() - begin, bound


def vem(folder, precision):
    run = os.path.join(folder, "run")
    begin = time.perf_counter()
    subprocess.run([arguments.vem, "train", "vae", "--data", "fashion-mnist", "--out", run, "--force", "--threads", "1",
                    "--set", "data.binarize=dynamic", "--set", "data.validation=10000", "--set", f"model.precision={precision}",
                    "--set", f"train.epochs={arguments.epochs}"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    with open(run + "/metrics.jsonl") as file:
        bounds = [entry["validation_bound"] for entry in map(json.loads, file) if "validation_bound" in entry]
    return seconds, bounds[-1]


precisions = ["float32"] + (["bf16"] if turns.has_bf16() else [])
with tempfile.TemporaryDirectory() as folder:
    runs = {"PyTorch": lambda: script(folder)}
    for precision in precisions:
        runs[precision] = lambda precision=precision: vem(folder, precision)
    both = turns.in_turn(arguments.rounds, runs)
print(turns.machine())
results, (a, theirs) = [], both.pop("PyTorch")
for precision, (b, ours) in both.items():
    case = f"784-512-512-20, batch 128, {arguments.epochs} epochs, {precision}"
    print(f"{case}: PyTorch {a:.1f} s (held-out bound {theirs:.2f}), vem {b:.1f} s ({ours:.2f}), ratio {a / b:.2f} (at least 4 is wanted)")
    results.append({"case": case, "pytorch": a, "vem": b, "ratio": a / b, "difference": ours - theirs})
turns.save(arguments.json, results)
if any(abs(row["difference"]) > 0.02 * abs(theirs) for row in results):
    sys.exit("the bounds differ by more than 2 %")
