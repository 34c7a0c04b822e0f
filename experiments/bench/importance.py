#!/usr/bin/python3
"""Likelihoods by importance sampling in vem against a loop over images in eager Python, in turn, one thread each.

Usage: python3 experiments/bench/importance.py [--samples 5000] [--rounds 5] [--vem build/vem] [--json FILE]

vem trains a VAE (784-512-512-20) on binarised Fashion-MNIST for a moment; both then estimate the NLL of the same test
images with its parameters. The loop takes one image after the other, repeated 100 times (as published evaluation code
does) or 5,000 times, through the whole model. Seconds are of the processor and for one image, without the start of
either; "products" are the decoder's matrix products alone, 1,000 samples at a time. Both NLLs are printed, and must be
within 0.5 nats; so is vem's memory with ten times the samples.
"""
import argparse, json, math, os, subprocess, sys, tempfile, time

from torch_vae import VAE, images, np, torch
import turns

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
from load_model import read_safetensors

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--samples", type=int, default=5000)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--json", default="", help="file for the results")
arguments = parser.parse_args()
torch.set_num_threads(1)
S, WIDTHS, LATENT, FEW, MANY = arguments.samples, [512, 512], 20, 5, 45  # images of the loop; more of them for vem


# A process of its own, since the memory of a child begins with that of its parent.
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
sys.exit(code)
"""


def vem(*command):
    """Runs vem; processor seconds and peak memory in MB."""
    child = subprocess.run([sys.executable, "-c", MEASURE, arguments.vem, *command], capture_output=True, text=True)
    if child.returncode:
        sys.exit(child.stderr)
    return tuple(map(float, child.stdout.split()))


def prepare(folder):
    """Binarised images, a trained run, and its parameters in the model of the loop."""
    rows = images()[:20000].reshape(-1, 28, 28).numpy()
    binary = (np.random.default_rng(0).random(rows.shape) < rows / 255).astype(np.uint8)
    np.save(folder + "/train.npy", binary[MANY:])
    np.save(folder + "/test.npy", binary[:MANY])
    vem("train", "vae", "--data", folder + "/train.npy", "--out", folder + "/run", "--threads", "1", "--set", "train.epochs=3")
    vem("export", folder + "/run", "--format", "safetensors", "--out", folder + "/model.safetensors")
    tensors = read_safetensors(folder + "/model.safetensors")[0]
    names = {"encoder.output": "parameters_of_q", "decoder.output": "logits"}
    model = VAE(WIDTHS, LATENT, torch.relu)
    state = {}
    for name, values in tensors.items():
        layer, _, part = name.replace(".hidden", "").rpartition(".")
        state[names.get(layer, layer) + "." + part] = torch.from_numpy(values.copy())
    model.load_state_dict({name: state[name] for name in model.state_dict()})
    return model, torch.from_numpy(binary[:MANY].reshape(MANY, 784)).float()


def log_weights(model, x):
    """log p(x, z) - log q(z | x) of one draw for each row."""
    mean, log_std = model.encode(x)
    q, p = torch.distributions.Normal(mean, log_std.exp()), torch.distributions.Normal(0, 1)
    z = q.rsample()
    log_px = -torch.nn.functional.binary_cross_entropy_with_logits(model.decode(z), x, reduction="none").sum(-1)
    return log_px + p.log_prob(z).sum(-1) - q.log_prob(z).sum(-1)


def loop(model, x, rows):
    """Seconds an image, and the mean NLL."""
    begin, total = time.process_time(), 0
    with torch.no_grad():
        for image in x[:FEW]:
            weights = [log_weights(model, image.expand(rows, -1)) for _ in range(S // rows)]
            total += torch.logsumexp(torch.cat(weights), 0).item() - math.log(S)
    return (time.process_time() - begin) / FEW, -total / FEW


def evaluate(folder):
    """The same by vem: what more images take, and the NLL of the few."""
    command = ["evaluate", folder + "/run", "--data", folder + "/test.npy", "--samples", str(S)]
    longer = vem(*command)[0]
    seconds = vem(*command, "--limit", str(FEW))[0]
    with open(folder + "/run/evaluation.json") as file:
        return (longer - seconds) / (MANY - FEW), json.load(file)["nll_upper_bound"]


def products(model):
    layers = [*model.decoder, model.logits]
    begin = time.process_time()
    with torch.no_grad():
        for _ in range(FEW * S // 1000):
            h = torch.ones(1000, LATENT)
            for layer in layers:
                h = torch.mm(h, layer.weight.t())
    return (time.process_time() - begin) / FEW, None


with tempfile.TemporaryDirectory() as folder:
    model, x = prepare(folder)
    loop(model, x, 100), products(model)  # both warm
    runs = {"loop, 100 rows": lambda: loop(model, x, 100), "vem": lambda: evaluate(folder),
            f"loop, {S} rows": lambda: loop(model, x, S), "products": lambda: products(model)}
    both = turns.in_turn(arguments.rounds, runs)
    memory = [vem("evaluate", folder + "/run", "--data", folder + "/test.npy", "--limit", "2", "--samples", str(n))[1] for n in (S, 10 * S)]
print(turns.machine())
ours, nll = both["vem"]
print(f"784-512-512-20, {S} samples an image: vem {1e3 * ours:.1f} ms (NLL <= {nll:.2f}), products alone {1e3 * both['products'][0]:.1f} ms: "
      f"{100 * both['products'][0] / ours:.0f} % (80 are wanted); {memory[0]:.0f} MB, {memory[1]:.0f} MB with {10 * S} samples")
results = []
for name in both:
    if not name.startswith("loop"):
        continue
    theirs, value = both[name]
    print(f"{name}: {1e3 * theirs:.1f} ms (NLL <= {value:.2f}), ratio {theirs / ours:.2f} (at least 10 is wanted)")
    results.append({"case": f"{S} samples, {name}", "pytorch": theirs, "vem": ours, "ratio": theirs / ours, "difference": value - nll})
turns.save(arguments.json, results)
if any(abs(row["difference"]) > 0.5 for row in results):
    sys.exit("the NLLs differ by more than 0.5 nats")
