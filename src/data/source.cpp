// What --data takes: named sets, and files told apart by their first bytes or their extension.
#include "vem/data/source.h"

#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "bytes.h"
#include "corpus_builder.h"
#include "file_name.h"
#include "images.h"
#include "split.h"
#include "unicode.h"
#include "vem/core/activity.h"
#include "vem/core/error.h"
#include "vem/core/names.h"
#include "vem/core/registry.h"
#include "vem/data/memory.h"
#include "vem/data/readers.h"

namespace vem {

namespace {

namespace fs = std::filesystem;

constexpr const char* kFashionMnist = "fashion-mnist";
constexpr const char* kFashionMnistFolder = "/usr/share/datasets/fashion-mnist";  // of the Debian package
const std::string kMnistPrefix = "mnist:";

bool starts_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }

bool has_own_test_set(const std::string& source) {
  return source == kFashionMnist || starts_with(source, kMnistPrefix);
}

std::pair<Dataset, Dataset> load_fashion_mnist() {
  std::error_code ignored;
  if (!fs::is_directory(kFashionMnistFolder, ignored))
    fail<MissingInputError>("data.source: {} is not in {}; apt-get install dataset-fashion-mnist", kFashionMnist,
                            kFashionMnistFolder);
  return load_mnist(kFashionMnistFolder);
}

const std::string kWholeFile = "*";

/// Words as their places in sorted order, [rows, 1], NaN where there is none.
Tensor add_category(Schema& schema, const std::string& column, const std::vector<std::string>& words) {
  std::vector<std::string>& categories = schema.categories[column];
  categories = classes_of(words);
  schema.feature_names.push_back(column);
  const Tensor ids = class_ids(words, categories);
  return ids.to(at::kDouble).masked_fill(ids < 0, std::nan("")).unsqueeze(1);
}

TableFormat table_format(const DataOptions& options) {
  using Separator = DataOptions::Separator;
  TableFormat format(options.separator == Separator::comma       ? ','
                     : options.separator == Separator::semicolon ? ';'
                     : options.separator == Separator::tab       ? '\t'
                                                                 : separator_of(options.source));
  format.decimal = options.decimal == DataOptions::Decimal::comma ? ',' : '.';
  format.header = options.header;
  return format;
}

/// Reads a table; whether it has a header stands in `options` then.
Dataset load_table(DataOptions& options) {
  const std::string path = options.source;
  std::vector<std::string> text_columns;
  const bool grouped = !options.sequence.empty() && options.sequence != kWholeFile;
  if (!options.label.empty()) text_columns.push_back(options.label);
  if (grouped && options.sequence != options.label) text_columns.push_back(options.sequence);
  const size_t first_category = text_columns.size();
  for (const std::string& column : listed_names(options.categories, "data.categories")) {
    if (std::find(text_columns.begin(), text_columns.end(), column) != text_columns.end())
      fail<ConfigError>("data.categories: column '{}' is there twice, or is the label or the sequence", column);
    text_columns.push_back(column);
  }
  Table table = read_csv(path, table_format(options), text_columns, listed_names(options.columns, "data.columns"));
  options.header = table.has_header ? TableHeader::yes : TableHeader::no;
  if (table.names.empty() && first_category == text_columns.size())
    fail<DataError>("{}: has no column of numbers", path);
  Schema schema;
  schema.feature_names = std::move(table.names);
  std::vector<Tensor> values{table.values};
  for (size_t c = first_category; c < text_columns.size(); ++c)
    values.push_back(add_category(schema, text_columns[c], table.words[c]));
  Dataset data = rows_of(values.size() > 1 ? at::cat(values, 1) : table.values, path);
  data.schema.feature_names = std::move(schema.feature_names);
  data.schema.categories = std::move(schema.categories);
  if (!options.label.empty()) {
    const std::vector<std::string> classes = classes_of(table.words[0]);
    data.columns["label"] = class_ids(table.words[0], classes);
    data.schema.num_classes = static_cast<int64_t>(classes.size());
  }
  if (grouped) group_rows(data, table.words[first_category - 1], table.lines, path);
  if (options.sequence == kWholeFile) one_sequence(data);
  return data;
}

/// Images with their channels behind the items: [items, channels, height, width].
Tensor channels_first(const Tensor& values, const DataOptions& options) {
  using Channels = DataOptions::Channels;
  if (values.dim() != 4) return values;
  if (options.channels == Channels::last) return values.permute({0, 3, 1, 2}).contiguous();
  const int64_t first = values.size(1), second = values.size(2), last = values.size(3);
  const bool looks_last = (last <= 4 && first > 4) || (first == second && last != second);
  if (options.channels == Channels::automatic && looks_last)
    fail<DataError>(
        "{}: has shape [{}]: axis 3, of size {}, looks like the channels, which are expected in axis 1, [items, "
        "channels, height, width]; data.channels = \"last\" reads it so, \"first\" takes axis 1, of size {}, for them",
        options.source, fmt::join(values.sizes(), ", "), last, first);
  return values;
}

/// An array [steps, features] as one sequence, or [items, steps, features] as many of one length.
Dataset load_array(const DataOptions& options) {
  const Tensor values = channels_first(read_npy(options.source), options);
  if (options.sequence != kWholeFile) return rows_of(values, options.source);
  if (values.dim() != 2 && values.dim() != 3)
    fail<DataError>("{}: has {} dimensions; sequences are [steps, features] or [items, steps, features]",
                    options.source, values.dim());
  Dataset data = rows_of(values.flatten(0, -2), options.source);
  one_sequence(data);
  if (values.dim() == 2) return data;
  data.size = values.size(0);
  data.offsets = at::arange(data.size + 1, at::kLong) * values.size(1);
  return data;
}

bool is_array(const std::string& source) { return has_plain_extension(source, ".npy"); }

/// By the names that IDX files have: train-images-idx3-ubyte, t10k-images.idx3-ubyte, digits.idx.
bool is_idx(const std::string& source) {
  const std::string name = plain_name(source);
  const size_t at = name.rfind("idx");
  if (at == std::string::npos || at == 0 || std::string("-_.").find(name[at - 1]) == std::string::npos) return false;
  const std::string rest = name.substr(at + 3);
  return rest.empty() || (std::isdigit(static_cast<unsigned char>(rest[0])) && (rest.size() == 1 || rest[1] == '-'));
}

/// By name: neither a named set nor a table, an array or images.
bool may_be_corpus(const std::string& source) {
  return !source.empty() && !has_own_test_set(source) && !separator_of(source) && !is_array(source) && !is_idx(source);
}

/// Throws DataError for a folder with pictures in it: it is no folder of texts.
void refuse_pictures(const std::string& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::string start(4, '\0');
    start.resize(ByteReader(entry.path().string()).read(start.data(), 4));
    if (start == "\x89PNG" || start == "GIF8" || starts_with(start, "\xff\xd8\xff"))
      fail<DataError>(
          "{}: holds pictures ({}) and no texts; images are read from IDX files and from .npy arrays [items, "
          "(channels,) "
          "height, width]",
          folder, entry.path().lexically_relative(folder).string());
  }
}

/// Reads the file; what it finds out about it stands in `options` then.
Dataset load_file(DataOptions& options) {
  const std::string path = options.source;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    const std::string near = nearest(path, {kFashionMnist});
    fail<MissingInputError>("data.source: no such file: {}; the named sets are {} and {}DIR{}", path, kFashionMnist,
                            kMnistPrefix, near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
  }
  if (separator_of(path)) return load_table(options);
  const auto sequences = [&] {
    options.sequences = resolved(options.sequences, path);
    return read_sequences(path, options.sequences);
  };
  const auto documents = [&] {
    options.corpus = resolved(options.corpus, path);
    return read_corpus(path, options.corpus);
  };
  if (options.sequences.format != SequenceFormat::automatic) return sequences();
  if (fs::is_directory(path, ignored)) refuse_pictures(path);
  if (fs::is_directory(path, ignored)) return documents();
  std::string start(6, '\0');
  start.resize(ByteReader(path).read(start.data(), 6));
  if (start == "\x93NUMPY" || is_array(path)) return load_array(options);
  if (options.corpus.format != CorpusFormat::automatic) return documents();
  // A name that says idx gives the reader the chance to say what is wrong with the file.
  if (starts_with(start, std::string(2, '\0')) || is_idx(path)) return load_images(path);
  if (sequence_format(path) != SequenceFormat::automatic) return sequences();
  if (corpus_format(path) != CorpusFormat::automatic) return documents();
  std::string sample(1 << 16, '\0');
  sample.resize(ByteReader(path).read(sample.data(), sample.size()));
  if (const std::string encoding = likely_encoding(sample); starts_with(encoding, "UTF-") && encoding != "UTF-8")
    fail<DataError>("{0}: is text in {1}, UTF-8 is expected; `iconv -f {1} -t UTF-8` converts it", path, encoding);
  fail<DataError>(
      "{}: unknown format; .csv, .tsv, NumPy .npy, IDX images, FASTA and corpora (all also .gz) are read; data.format "
      "names that of a corpus, data.sequence_format that of sequences",
      path);
}

Dataset first_items(const Dataset& data, int64_t limit) {
  return limit <= 0 || limit >= data.size ? data : data.first(limit);
}

Dataset configured(Dataset data, const DataOptions& options) {
  data.schema.source = one_line(options.source);
  data.binarize = options.binarize;
  data.binarize_seed = options.seed;
  if (options.binarize == Binarize::none) return data;
  if (!data.columns.count("x")) fail<ConfigError>("data.binarize has no effect: {} has no pixels", options.source);
  const Tensor& x = data.columns.at("x");
  if (x.numel() == 0) return data;
  const double low = x.min().item<double>() / data.pixel_scale, high = x.max().item<double>() / data.pixel_scale;
  if (!(low >= 0 && high <= 1))
    fail<DataError>("{}: data.binarize needs values in [0, 1], got values in [{}, {}]", options.source, low, high);
  return data;
}

/// The items of a file of their own, in the words or columns of the training items.
Dataset validation_items(const DataOptions& options, const Schema& wanted) {
  DataOptions own = read_alike(options, options.validation_file);
  Dataset data = configured(load_file(own), own);
  if (data.columns.count("word") || data.disk) data = match_words(std::move(data), wanted);
  data = match_symbols(std::move(data), wanted, options.sequences.unseen);
  data = match_categories(std::move(data), wanted, options.sequences.unseen);
  if (data.schema.item_shape != wanted.item_shape || data.schema.feature_names != wanted.feature_names)
    fail<DataError>("{}: items have shape [{}], those of {} have [{}]; the same columns are expected",
                    options.validation_file, fmt::join(data.schema.item_shape, ", "), options.source,
                    fmt::join(wanted.item_shape, ", "));
  return data;
}

}  // namespace

char separator_of(const std::string& path) {
  return has_plain_extension(path, ".csv") ? ',' : has_plain_extension(path, ".tsv") ? '\t' : '\0';
}

void DataOptions::visit(OptionVisitor& v) {
  v("source", source,
    "fashion-mnist, mnist:DIR, a file (.csv, .tsv, .npy, IDX images, a corpus of documents; each also gzipped), or a "
    "folder of texts");
  v.when(separator_of(source) != 0, "source is a .csv or .tsv file", [&] {
    v("header", header, {{"auto", TableHeader::automatic}, {"yes", TableHeader::yes}, {"no", TableHeader::no}},
      "whether the first row names the columns; auto: if a cell of it is a word, or its numbers count the columns");
    v("separator", separator,
      {{"auto", Separator::automatic},
       {"comma", Separator::comma},
       {"semicolon", Separator::semicolon},
       {"tab", Separator::tab}},
      "what stands between cells; auto: a comma in .csv, a tab in .tsv");
    v("decimal", decimal, {{"point", Decimal::point}, {"comma", Decimal::comma}}, "what stands before fractions");
    v("label", label, "column that holds the class of a row (numbers or words) and is no feature; empty: none");
    v("columns", columns,
      "names of the columns of numbers that are features, with commas between; one with a comma in it stands in double "
      "quotes; empty: all but the label");
    v("categories", categories,
      "names of columns of words that are features too: the symbols 0, 1 ... in sorted order");
  });
  v.when(separator_of(source) != 0 || is_array(source), "source is a .csv, .tsv or .npy file", [&] {
    v("sequence", sequence,
      "column that names the sequence of a row; \"*\": all rows are one sequence, or those of each item of an array "
      "of three dimensions; empty: rows are items");
  });
  v.when(is_array(source), "source is a .npy file", [&] {
    v("channels", channels, {{"auto", Channels::automatic}, {"first", Channels::first}, {"last", Channels::last}},
      "of images [items, three axes]: the axis of the channels; auto: the first, unless they seem to be in the last");
  });
  v.when(may_be_corpus(source), "source is a text file or folder", [&] {
    v("sequence_format", sequences.format,
      {{"auto", SequenceFormat::automatic},
       {"symbols", SequenceFormat::symbols},
       {"fasta", SequenceFormat::fasta},
       {"piano-roll", SequenceFormat::piano_roll}},
      "how sequences are written: a sequence of symbols a line, FASTA, or a time step a line with its sequence's "
      "number and MIDI notes; auto: FASTA if it looks so");
    v.when(sequences.format == SequenceFormat::symbols, "sequence_format is symbols", [&] {
      v("symbol_unit", sequences.unit,
        {{"auto", SymbolUnit::automatic}, {"words", SymbolUnit::words}, {"characters", SymbolUnit::characters}},
        "symbols are words between blanks, or single characters; auto: characters where no line has a blank");
    });
    v.when(sequences.format == SequenceFormat::automatic, "sequence_format is auto", [&] { corpus.visit(v); });
    v.when(sequences.format != SequenceFormat::piano_roll && corpus.format == CorpusFormat::automatic,
           "sequences are symbols or FASTA", [&] {
             v("alphabet", sequences.alphabet,
               "all symbols that there may be, with blanks between, also those that these data do not have; dna or "
               "protein; empty: the symbols of the data, of FASTA dna or protein by its letters");
           });
  });
  v.when(may_be_corpus(source) || !categories.empty(), "there are symbols or categories", [&] {
    v("unseen", sequences.unseen, {{"refuse", Unseen::refuse}, {"missing", Unseen::missing}},
      "what becomes of symbols and categories that the alphabet or, later, the model does not have: an error, or "
      "missing values");
  });
  v.when(!label.empty() || has_own_test_set(source), "the data have labels", [&] {
    v("labels_kept", labels_kept, at_least(0),
      "hide the labels of all training items but so many, as many of each class as of every other, drawn from the "
      "seed; 0: hide none");
  });
  v("limit", limit, at_least(0), "use only the first items of the training file; 0: all");
  v.when(validation_file.empty(), "validation_file is not set", [&] {
    v("validation", validation, at_least(0), "items held out to watch the bound: a count, or a fraction below 1");
  });
  v.when(!has_own_test_set(source), "source has no test set of its own", [&] {
    v("validation_file", validation_file,
      "a file whose items watch the bound, in the format of the source; empty: those of `validation`");
  });
  v.when(!has_own_test_set(source), "source has no test set of its own",
         [&] { v("test", test, at_least(0), "items held out for `vem evaluate`: a count, or a fraction below 1"); });
  v.when((validation > 0 && validation_file.empty()) || test > 0, "validation or test is above 0", [&] {
    v("split", split, {{"random", Split::random}, {"tail", Split::tail}},
      "which items are held out: drawn from the seed, or the last ones of the file");
  });
  v("max_memory", max_memory,
    "memory that reading may take, such as 8G or 500M, or a number of bytes in quotes: what announces or unpacks to "
    "more is refused; auto: four fifths of what the machine and the limits of the process have");
  v("binarize", binarize, {{"none", Binarize::none}, {"fixed", Binarize::fixed}, {"dynamic", Binarize::dynamic}},
    "draw pixels as 0 or 1 with their grey level as probability: once from the seed, or anew in each epoch");
}

std::vector<std::vector<std::string>> spelled_columns(const DataOptions& options,
                                                      const std::vector<std::string>& columns) {
  const MemoryLimitScope memory(memory_amount(options.max_memory, "data.max_memory"));
  // Naming one of them as a column of numbers as well leaves all others out.
  return read_csv(options.source, table_format(options), columns, {columns.front()}).words;
}

DataOptions read_alike(DataOptions options, const std::string& source) {
  const CorpusFormat declared = declared_format(source);
  if (declared != CorpusFormat::automatic && declared != declared_format(options.source))
    options.corpus.format = declared;
  options.source = source;
  options.validation = options.test = 0;
  options.labels_kept = 0;
  options.validation_file.clear();
  options.limit = 0;
  options.corpus.vocabulary.clear();  // words are matched by name, so none is left out for being rare
  options.corpus.min_document_frequency = 0;
  options.corpus.max_document_frequency = 1;
  return options;
}

namespace {

Splits read_splits(const DataOptions& options) {
  const std::string& source = options.source;
  const Activity activity("reading " + source);
  const MemoryLimitScope memory(memory_amount(options.max_memory, "data.max_memory"));
  if (source.empty())
    fail<ConfigError>("data.source is not set; give {}, {}DIR or a file", kFashionMnist, kMnistPrefix);
  DataOptions read = options;
  if (!has_own_test_set(source)) {
    Dataset all = configured(first_items(load_file(read), options.limit), options);
    DataOptions held = read;
    if (!options.validation_file.empty()) held.validation = 0;
    Splits splits = hold_out(std::move(all), held);
    if (!options.validation_file.empty()) splits.validation = validation_items(read, splits.train.schema);
    splits.options = read;
    return splits;
  }
  if (options.test > 0) fail<ConfigError>("data.test has no effect: {} has a test set of its own", source);
  auto [train, test] = source == kFashionMnist ? load_fashion_mnist() : load_mnist(source.substr(kMnistPrefix.size()));
  Splits splits = hold_out(configured(first_items(train, options.limit), options), options);
  splits.test = configured(std::move(test), options);
  splits.options = read;
  return splits;
}

}  // namespace

Splits load_splits(const DataOptions& options) {
  Splits splits = read_splits(options);
  if (options.labels_kept == 0) return splits;
  const auto label = splits.train.columns.find("label");
  if (label == splits.train.columns.end() || splits.train.offsets.defined())
    fail<ConfigError>("data.labels_kept has no effect: {} has no labels of single rows", options.source);
  label->second = kept_labels(label->second, options.labels_kept, options.seed);
  return splits;
}

}  // namespace vem
