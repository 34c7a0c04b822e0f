// vem encode, impute, sample, reconstruct, traverse and export: what a run's model makes, as files.
#include "estimates.h"
#include "output_file.h"
#include "text.h"
#include "topics.h"
#include "vem/core/error.h"
#include "vem/core/names.h"
#include "vem/core/warning.h"
#include "vem/data/writers.h"
#include "vem/train/exporter.h"
#include "verbs.h"

namespace vem {
namespace {

bool is_image(const Schema& schema) {
  return schema.item_shape.size() == 3 && (schema.item_shape[0] == 1 || schema.item_shape[0] == 3);
}

/// Rows [n, D] as images [n, channels, height, width] with values in [0, 1].
Tensor as_images(const Tensor& rows, const Schema& schema) {
  Shape shape{rows.size(0)};
  shape.insert(shape.end(), schema.item_shape.begin(), schema.item_shape.end());
  return rows.to(at::kFloat).clamp(0, 1).reshape(shape);
}

/// The file for rows that a verb makes, of images also as a picture.
std::string rows_output(const Arguments& a, const LoadedRun& run, const std::string& name) {
  const bool images = is_image(run.checkpoint.schema);
  const std::vector<std::string> table{".npy", ".csv"}, all{".png", ".npy", ".csv"};
  if (!images && a.count("out") && has_extension(a.given("out"), ".png"))
    fail<UsageError>("{}: items of shape [{}] are no images; write .npy or .csv", one_line(a.given("out")),
                     fmt::join(run.checkpoint.schema.item_shape, ", "));
  return output_of(a, run, images ? "images/" + name + ".png" : name + ".csv", images ? all : table);
}

/// Writes rows [n, D] by the extension of the file; `spelling` is of cells in a .csv.
void write_rows(const std::string& path, const Tensor& rows, const std::vector<std::string>& names,
                const Schema& schema, int64_t columns, const Spelling& spelling = {}) {
  if (has_extension(path, ".png"))
    write_png_grid(path, as_images(rows, schema), columns);
  else if (has_extension(path, ".npy"))
    write_npy(path, rows);
  else
    write_csv(path, rows, names, schema.categories, spelling);
  fmt::print("{}\n", one_line(path));
}

std::vector<std::string> feature_names(const Schema& schema) {
  if (!schema.feature_names.empty()) return schema.feature_names;
  std::vector<std::string> names;
  for (int64_t i = 0; i < schema.num_features(); ++i) names.push_back(fmt::format("x{}", i));
  return names;
}

/// -n, where it is given.
std::optional<int64_t> count_of(const Arguments& a) {
  if (!a.count("n")) return {};
  const auto n = a["n"].as<int64_t>();
  if (n < 1) fail<UsageError>("-n must be >= 1, got {}", n);
  return n;
}

Batch first_items(const Items& items, const Model& model, int64_t n) {
  return items.data.batch(at::arange(std::min(n, items.data.size), at::kLong), 0, model.dtype());
}

/// A method whose inputs are the items' own columns, so that it has an output for each of them.
const Method& method_of_items(const std::vector<Method>& methods, const std::string& name, const LoadedRun& run) {
  const auto reads_items = [](const Method& method) {
    const auto of_items = [](const std::string& input) {
      return input == "x" || input == "offsets" || input == "word" || input == "count" || input == "label";
    };
    return method.integers.empty() && !method.inputs.empty() &&
           std::all_of(method.inputs.begin(), method.inputs.end(), of_items);
  };
  const Method& method = method_of(methods, name, run);
  if (reads_items(method)) return method;
  std::vector<std::string> names;
  for (const Method& other : methods)
    if (reads_items(other)) names.push_back(other.name);
  fail<UsageError>("--method {}: has no output for each item; those that have: {}", name, fmt::join(names, ", "));
}

/// What was made of n latents: items of one row or, beside their number, sequences of equal length.
void write_made(const std::string& path, const Tensor& rows, int64_t n, const Schema& schema, int64_t columns) {
  std::vector<std::string> names = feature_names(schema);
  if (rows.size(0) == n) return write_rows(path, rows, names, schema, columns);
  names.insert(names.begin(), "sequence");
  const Tensor sequence = at::arange(n, rows.options()).repeat_interleave(rows.size(0) / n).unsqueeze(1);
  write_rows(path, at::cat({sequence, rows}, 1), names, schema, columns);
}

}  // namespace

int encode(const Arguments& a, const Registry& registry) {
  if (!a.count("out")) fail<UsageError>("encode: --out FILE.npy, FILE.csv or FILE.mtx is missing");
  const LoadedRun run = load_run(a, registry);
  const std::string path = output_of(a, run, "", {".npy", ".csv", ".mtx"});
  const auto methods = run.model->methods();
  const std::string fallback = Model::find(methods, "encode") ? "encode" : "responsibilities";
  const std::string wanted = a.count("method") ? a["method"].as<std::string>() : fallback;
  const auto seed = a["seed"].as<uint64_t>();
  const bool sparse = has_extension(path, ".mtx");
  const double least = sparse ? a["least"].as<double>() : 0;
  if (!sparse) a.refuse("least", "only .mtx files leave entries out");
  // Log-likelihoods of items have one name, whether the model has them exactly or by importance sampling.
  const bool sampled = wanted == "log_prob" && !Model::find(methods, wanted) && Model::find(methods, "importance");
  if (!sampled) a.refuse("samples", "only --method log_prob of a model without an exact likelihood draws any");
  const int64_t samples = sampled ? a["samples"].as<int64_t>() : 1;
  if (samples < 1) fail<UsageError>("--samples must be >= 1, got {}", samples);
  const Method* method = sampled ? nullptr : &method_of_items(methods, wanted, run);
  const std::vector<std::string> what = sampled ? std::vector<std::string>{wanted} : method->outputs;
  const Items items = load_items(a, run);
  const std::vector<Tensor> outputs =
      sampled ? std::vector<Tensor>{log_likelihood(methods, *run.model, items.data, samples, seed)}
              : map_items(*method, *run.model, items.data, seed);
  std::vector<std::string> names;
  std::vector<Tensor> columns;
  for (size_t i = 0; i < outputs.size(); ++i) {
    columns.push_back(outputs[i].reshape({outputs[i].size(0), -1}));
    for (int64_t d = 0; d < columns[i].size(1); ++d) names.push_back(fmt::format("{}_{}", what[i], d));
  }
  const Tensor table = at::cat(columns, 1);
  if (sparse)
    write_matrix_market(path, table, least);
  else
    write_rows(path, table, names, run.checkpoint.schema, 1);
  fmt::print("{} x {}: {} of {}{}\n", table.size(0), names.size(), fmt::join(what, " and "), items.name,
             sampled ? fmt::format(", lower bounds by {}", counted(samples, "importance sample")) : "");
  print_impossible_rows(wanted, what, outputs);
  return 0;
}

namespace {

/// The rows as they were read, in their type, with what the model made in their missing cells alone.
Tensor filled_in(const Dataset& data, const Tensor& made) {
  const Tensor& x = data.columns.at("x");
  if (!x.is_floating_point()) return x;
  return at::where(x.isnan(), made.to(x.scalar_type()), x);
}

/// Cells that are there as the table spells them (0.970); none for other sources, and for tables of which the text
/// would take much memory.
Spelling spelling_of(const Dataset& data, const DataOptions& options, const std::vector<std::string>& names) {
  constexpr int64_t kCells = 10'000'000;
  const Tensor& x = data.columns.at("x");
  const bool points = options.decimal == DataOptions::Decimal::point;  // as in what is written
  if (!separator_of(options.source) || data.offsets.defined() || !points || x.numel() > kCells) return {};
  const WarningScope quiet({});  // the same file was read before
  const auto cells = std::make_shared<std::vector<std::vector<std::string>>>(spelled_columns(options, names));
  const Tensor missing = x.isnan().contiguous(),
               places = data.index.defined() ? data.index : at::arange(data.size, at::kLong);
  return [cells, missing, places](int64_t row, int64_t column) -> const std::string* {
    if (missing.data_ptr<bool>()[row * missing.size(1) + column]) return nullptr;
    return &(*cells)[static_cast<size_t>(column)][static_cast<size_t>(places.data_ptr<int64_t>()[row])];
  };
}

}  // namespace

int impute(const Arguments& a, const Registry& registry) {
  if (!a.count("out")) fail<UsageError>("impute: --out FILE.npy or FILE.csv is missing");
  const LoadedRun run = load_run(a, registry);
  const Schema& schema = run.checkpoint.schema;
  const auto methods = run.model->methods();
  const Method& method = method_of(methods, "impute", run);
  const std::string path = rows_output(a, run, "");
  const auto seed = a["seed"].as<uint64_t>();
  const Items items = load_items(a, run);
  if (!items.data.columns.count("x")) fail<UsageError>("impute: documents have no missing cells");
  const Tensor made = map_items(method, *run.model, items.data, seed)[0];
  const Tensor rows = filled_in(items.data, made);
  const int64_t left = rows.isnan().sum().item<int64_t>();
  const int64_t missing = items.data.columns.at("x").isnan().sum().item<int64_t>() - left;
  const std::vector<std::string> names = feature_names(schema);
  Spelling spelling;
  if (has_extension(path, ".csv")) {
    DataOptions source = run.options.data;
    if (a.count("data")) source.source = a["data"].as<std::string>();
    spelling = spelling_of(items.data, source, names);
  }
  write_rows(path, has_extension(path, ".png") ? rows / items.data.pixel_scale : rows, names, schema, 1, spelling);
  fmt::print("{} filled in {}\n", counted(missing, "cell"), items.name);
  if (left > 0) fmt::print("{} left empty: their rows are impossible under the model\n", counted(left, "cell"));
  return 0;
}

namespace {

/// The number of draws and what is given, as `--given label=3`, by the name of the method's input.
std::map<std::string, int64_t> numbers_given(const Arguments& a, const Method& method, int64_t n) {
  std::map<std::string, int64_t> numbers{{"n", n}};
  const auto given = a.count("given") ? a["given"].as<std::vector<std::string>>() : std::vector<std::string>();
  for (const std::string& assignment : given) {
    const size_t equals = assignment.find('=');
    const std::string name = assignment.substr(0, equals),
                      text = equals == std::string::npos ? "" : assignment.substr(equals + 1);
    if (name == "n" || std::find(method.inputs.begin(), method.inputs.end(), name) == method.inputs.end())
      fail<UsageError>("--given {}: the model draws from p(x) given {}", assignment,
                       method.inputs.size() > 1
                           ? fmt::format("{}", fmt::join(method.inputs.begin() + 1, method.inputs.end(), ", "))
                           : "nothing");
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || text.size() > 18)
      fail<UsageError>("--given {}: NAME=CLASS with the number of a class is expected, such as label=3", assignment);
    numbers[name] = std::stoll(text);
  }
  for (const std::string& name : method.inputs)
    if (numbers.count(name) == 0)
      fail<UsageError>("sample: the model draws given {0}; say which with --given {0}=CLASS", name);
  return numbers;
}

}  // namespace

int sample(const Arguments& a, const Registry& registry) {
  const LoadedRun run = load_run(a, registry);
  const Schema& schema = run.checkpoint.schema;
  const int64_t n = count_of(a).value_or(64);
  const auto methods = run.model->methods();
  const at::NoGradGuard no_grad;
  const Method& method = method_of(methods, "sample", run);
  const bool documents = method.outputs.back() == "offsets";
  const std::string path = documents ? output_of(a, run, "samples.ldac", {".ldac"}) : rows_output(a, run, "samples");
  const std::vector<Tensor> drawn =
      method.call(inputs_of(method, {}, numbers_given(a, method, n)), Rng(a["seed"].as<uint64_t>()).fold("sample"));
  if (documents) {
    write_lda_c(path, drawn[0], drawn[1], drawn[2]);
    fmt::print("{}\n", one_line(path));
    return 0;
  }
  write_made(path, drawn[0], n, schema, static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(n)))));
  return 0;
}

int reconstruct(const Arguments& a, const Registry& registry) {
  const LoadedRun run = load_run(a, registry);
  const Schema& schema = run.checkpoint.schema;
  const auto methods = run.model->methods();
  const Method& method = method_of(methods, "reconstruct", run);
  const int64_t n = count_of(a).value_or(32);
  const Rng rng = Rng(a["seed"].as<uint64_t>()).fold("reconstruct");
  const std::string path = rows_output(a, run, "reconstructions");
  const Items items = load_items(a, run);
  const at::NoGradGuard no_grad;
  const Batch first = first_items(items, *run.model, n);
  const Tensor made = method.call(inputs_of(method, first), rng)[0];
  if (has_extension(path, ".png")) {
    const Tensor& x = first.at("x");
    const Tensor pairs =
        at::stack({x, made.to(x.scalar_type())}, 1).reshape({-1, x.size(1)});  // each item, then its reconstruction
    write_rows(path, pairs, {}, schema, 8);
  } else {
    write_rows(path, made, feature_names(schema), schema, 1);
  }
  fmt::print("{} of {}\n", counted(first.size(), "reconstruction"), items.name);
  return 0;
}

namespace {

constexpr int64_t kWalk = 11;  // steps of a walk in latent space

/// Rows of z along each of the most active dimensions, from -3 to 3 and otherwise the first item's; says which they
/// are.
Tensor along_dimensions(std::optional<int64_t> n, const Tensor& means) {
  const Tensor spread = means.var(0, /*unbiased=*/false), order = std::get<1>(spread.sort(0, true));
  const auto active = std::max<int64_t>(1, (spread > 0.01).sum().item<int64_t>());  // the threshold of active units
  const int64_t dimensions = std::min<int64_t>(n.value_or(std::min<int64_t>(active, 10)), means.size(1));
  Tensor z = means[0].repeat({dimensions * kWalk, 1});
  std::vector<std::string> names;
  for (int64_t d = 0; d < dimensions; ++d) {
    const int64_t dimension = order[d].item<int64_t>();
    z.slice(0, d * kWalk, (d + 1) * kWalk).select(1, dimension).copy_(at::linspace(-3, 3, kWalk, z.options()));
    names.push_back(fmt::format("z{} ({:.2f})", dimension, spread[dimension].item<double>()));
  }
  fmt::print("rows, from -3 to 3, by variance of the posterior mean: {}\n", fmt::join(names, ", "));
  return z;
}

/// "z2" of decode_from_z2; of decode, its only latent.
std::string latent_of(const Method& decoder) {
  const std::string from = "decode_from_";
  return decoder.name.compare(0, from.size(), from) == 0 ? decoder.name.substr(from.size()) : decoder.inputs[0];
}

/// What makes rows of the latent that --latent names; by default the only one, or the first that p draws.
const Method& decoder_of(const Arguments& a, const std::vector<Method>& methods, const Method& encoder,
                         const LoadedRun& run) {
  const bool several = encoder.outputs[0].find('.') != std::string::npos;
  if (!several) {
    a.refuse("latent", "the model has one latent");
    return method_of(methods, "decode", run);
  }
  std::vector<std::string> names;
  for (const Dependence& d : run.model->dependences())
    if (d.side == Dependence::Side::p && Model::find(methods, "decode_from_" + d.name) != nullptr)
      names.push_back(d.name);
  if (names.empty()) fail<UsageError>("traverse: there is no latent from which the others follow");
  const std::string latent = a.count("latent") ? a["latent"].as<std::string>() : names[0];
  if (std::find(names.begin(), names.end(), latent) == names.end())
    fail<UsageError>("--latent {}: there is no such latent to move; there are {}", latent, fmt::join(names, ", "));
  return method_of(methods, "decode_from_" + latent, run);
}

/// Straight lines from the mean of one item to that of the next: a row for each pair.
Tensor between_items(std::optional<int64_t> n, const Tensor& means) {
  const int64_t pairs = std::min<int64_t>(n.value_or(10), means.size(0) / 2);
  if (pairs < 1) fail<DataError>("traverse: --between needs two items");
  const Tensor ends = means.slice(0, 0, 2 * pairs).view({pairs, 2, 1, -1});
  const Tensor share = at::linspace(0, 1, kWalk, means.options()).view({1, kWalk, 1});
  fmt::print("rows, from one item to the next: items {}\n",
             pairs == 1 ? "1 to 2" : fmt::format("1 to 2, 3 to 4 ... {} to {}", 2 * pairs - 1, 2 * pairs));
  return at::lerp(ends.select(1, 0), ends.select(1, 1), share).flatten(0, 1);
}

}  // namespace

int traverse(const Arguments& a, const Registry& registry) {
  const LoadedRun run = load_run(a, registry);
  const Schema& schema = run.checkpoint.schema;
  const auto methods = run.model->methods();
  const Method& encoder = method_of(methods, "encode", run);
  const Method& decoder = decoder_of(a, methods, encoder, run);
  const Rng rng = Rng(a["seed"].as<uint64_t>()).fold("traverse");
  const bool between = a["between"].as<bool>();
  const std::optional<int64_t> n = count_of(a);
  const std::string name = between ? "interpolation" : "traversal";
  const std::string path = rows_output(a, run, name);
  const Items items = load_items(a, run);
  const at::NoGradGuard no_grad;
  const Batch first = first_items(items, *run.model, 1000);
  const std::vector<Tensor> encoded = encoder.call(inputs_of(encoder, first), rng);
  const std::string moved = latent_of(decoder);
  const auto mean_of = [&](const std::string& latent) {
    const auto it = std::find(encoder.outputs.begin(), encoder.outputs.end(), latent + ".mean");
    return it == encoder.outputs.end() ? encoded[0] : encoded[static_cast<size_t>(it - encoder.outputs.begin())];
  };
  const Tensor means = mean_of(moved), z = between ? between_items(n, means) : along_dimensions(n, means);
  std::vector<Tensor> inputs;  // what is not moved is that of the first item
  for (const std::string& input : decoder.inputs) {
    if (input == moved)
      inputs.push_back(z);
    else if (first.columns.count(input) > 0)
      inputs.push_back(first.at(input).slice(0, 0, 1).expand({z.size(0)}));
    else
      inputs.push_back(mean_of(input).slice(0, 0, 1).expand({z.size(0), -1}));
  }
  const Tensor rows = decoder.call(inputs, rng)[0];
  write_made(path, rows, z.size(0), schema, kWalk);
  fmt::print("{} of {}\n", first.size() < items.data.size ? "by the first " + grouped(first.size()) : "by all",
             items.name);
  return 0;
}

int export_model(const Arguments& a, const Registry& registry) {
  const std::string format = a["format"].as<std::string>();
  const std::map<std::string, const char*> files{{"torchscript", "export/model.pt"},
                                                 {"safetensors", "export/model.safetensors"},
                                                 {"json", "export/parameters.json"},
                                                 {"npy", ""}};
  if (!files.count(format))
    fail<UsageError>("--format is torchscript, safetensors or json (of topics also npy), got '{}'", format);
  const LoadedRun run = load_run(a, registry);
  if (format == "npy" || (format == "json" && Model::find(run.model->methods(), "topics")))
    return export_topics(a, run);
  const std::string path = output_of(a, run, files.at(format), {});
  if (format == "json")
    write_text(path, json_of(run));
  else if (format == "torchscript")
    export_torchscript(*run.model, run.checkpoint.config, path);
  else
    export_safetensors(*run.model, run.checkpoint.config, path);
  fmt::print("{}\n", one_line(path));
  return 0;
}

}  // namespace vem
