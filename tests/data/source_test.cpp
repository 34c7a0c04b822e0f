// load_splits: formats told apart, splits, labels, and the messages for what is wrong.
#include "vem/data/source.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "../src/data/split.h"
#include "support/memory_limit.h"
#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/data/readers.h"
#include "vem/data/writers.h"

namespace vem {
namespace source_test {

DataOptions options_for(const std::string& source) {
  DataOptions options;
  options.source = source;
  return options;
}

/// A csv file whose i-th row is (i, 10 i), n rows.
std::string counting_csv(const TemporaryFolder& folder, int64_t n) {
  std::string text = "a,b\n";
  for (int64_t i = 0; i < n; ++i) text += fmt::format("{},{}\n", i, 10 * i);
  return folder.write("counting.csv", text);
}

void write_mnist(const TemporaryFolder& folder, const std::string& prefix, bool gzipped) {
  for (const auto& [name, shape] : std::map<std::string, Shape>{{"train-images-idx3-ubyte", {6, 2, 3}},
                                                                {"train-labels-idx1-ubyte", {6}},
                                                                {"t10k-images-idx3-ubyte", {4, 2, 3}},
                                                                {"t10k-labels-idx1-ubyte", {4}}}) {
    if (gzipped)
      folder.write_gzipped(prefix + name + ".gz", idx_bytes(shape));
    else
      folder.write(prefix + name, idx_bytes(shape));
  }
}

std::vector<int64_t> list(const Tensor& values) {
  const Tensor flat = values.contiguous();
  return {flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel()};
}

TEST(Source, MnistFolderUnderEveryName) {
  for (const char* prefix : {"", "mnist-"})
    for (const bool gzipped : {false, true}) {
      const TemporaryFolder folder;
      write_mnist(folder, prefix, gzipped);
      const Splits splits = load_splits(options_for("mnist:" + folder.path().string()));
      EXPECT_EQ(splits.train.size, 6);
      EXPECT_EQ(splits.validation.size, 0);
      EXPECT_EQ(splits.test.size, 4);
      EXPECT_EQ(splits.train.schema.item_shape, (Shape{1, 2, 3}));
      EXPECT_EQ(splits.test.schema.num_classes, 6);
      EXPECT_EQ(splits.train.columns.at("x").scalar_type(), at::kByte);
      EXPECT_EQ(splits.train.pixel_scale, 255);
      EXPECT_EQ(list(splits.test.columns.at("label")), (std::vector<int64_t>{0, 1, 2, 3}));
    }
}

TEST(Source, MnistFolderErrors) {
  const TemporaryFolder folder;
  const std::string source = "mnist:" + folder.path().string();
  const auto error = [&] { return message_of<DataError>([&] { load_splits(options_for(source)); }); };
  EXPECT_EQ(message_of<MissingInputError>([&] { load_splits(options_for("mnist:/none")); }), "/none: no such folder");
  EXPECT_EQ(message_of<MissingInputError>([&] { load_splits(options_for(source)); }),
            folder.path().string() + ": has no file train-images-idx3-ubyte[.gz]");
  write_mnist(folder, "", false);
  const std::string images = folder.file("train-images-idx3-ubyte"), labels = folder.file("train-labels-idx1-ubyte");
  folder.write("train-labels-idx1-ubyte", idx_bytes({5}));
  EXPECT_EQ(error(), labels + ": holds 5 labels, but " + images + " holds 6 images");
  folder.write("train-labels-idx1-ubyte", idx_bytes({5, 1, 1}));
  EXPECT_EQ(error(), labels + ": holds images (IDX magic 0x00000803), labels (0x00000801) are expected");
  folder.write("train-images-idx3-ubyte", idx_bytes({5}));
  EXPECT_EQ(error(), images + ": holds labels (IDX magic 0x00000801), images (0x00000803) are expected");
  write_mnist(folder, "", false);
  folder.write("t10k-images-idx3-ubyte", idx_bytes({4, 3, 3}));
  EXPECT_EQ(error(), folder.path().string() + ": the training images are 2x3, the test images 3x3");
}

TEST(Source, IdxFileAloneAndLabelsForImages) {
  const TemporaryFolder folder;
  const Splits splits = load_splits(options_for(folder.write("some-images", idx_bytes({7, 2, 2}))));
  EXPECT_EQ(splits.train.size, 7);
  EXPECT_EQ(splits.train.columns.count("label"), 0u);
  const std::string labels = folder.write("labels", idx_bytes({7}));
  EXPECT_EQ(message_of<DataError>([&] { load_splits(options_for(labels)); }),
            labels + ": holds labels (IDX magic 0x00000801), images (0x00000803) are expected");
  const std::string empty = folder.write("empty-idx3-ubyte", "");
  EXPECT_EQ(message_of<DataError>([&] { load_splits(options_for(empty)); }),
            empty + ": truncated: got 0 bytes, at least 8 are wanted");
}

TEST(Source, PixelsThatAreBinaryAlreadyStayAsTheyAre) {
  const TemporaryFolder folder;
  Splits splits = load_splits(options_for(folder.write("binary", idx_bytes({4, 2, 2}, 2))));
  EXPECT_EQ(splits.train.pixel_scale, 1);
  const Tensor positions = at::arange(4, at::kLong);
  const Tensor x = splits.train.batch(positions, 0, at::kFloat).at("x");
  EXPECT_EQ(x.max().item<float>(), 1);
  splits.train.binarize = Binarize::dynamic;
  EXPECT_TRUE(at::equal(splits.train.batch(positions, 5, at::kFloat).at("x"), x));
}

TEST(Source, NpyAsRowsAndAsImages) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.npy");
  const auto shape_of = [&](const Tensor& values) {
    write_npy(path, values);
    const Dataset data = load_splits(options_for(path)).train;
    EXPECT_EQ(data.size, values.size(0));
    EXPECT_EQ(data.columns.at("x").dim(), 2);
    EXPECT_EQ(data.pixel_scale, 1);
    EXPECT_EQ(data.schema.num_features(), data.columns.at("x").size(1));
    return data.schema.item_shape;
  };
  EXPECT_EQ(shape_of(at::ones({5, 6})), (Shape{6}));
  EXPECT_EQ(shape_of(at::ones({5})), (Shape{1}));
  EXPECT_EQ(shape_of(at::ones({5, 4, 3}, at::kDouble)), (Shape{1, 4, 3}));
  EXPECT_EQ(shape_of(at::ones({5, 3, 4, 3})), (Shape{3, 4, 3}));
  write_npy(path, at::ones({}));
  EXPECT_EQ(message_of<DataError>([&] { load_splits(options_for(path)); }),
            path + ": has 0 dimensions; [items, features] or images [items, (channels,) height, width] are expected");
  write_npy(path, at::ones({0, 3}));
  EXPECT_EQ(message_of<DataError>([&] { load_splits(options_for(path)); }), path + ": holds no items");
}

// [items, height, width, channels], as most libraries of images have them.
TEST(Source, ChannelsInTheLastAxisAreNotTakenForRows) {
  const TemporaryFolder folder;
  DataOptions options = options_for(folder.file("a.npy"));
  const Tensor images = at::arange(2 * 8 * 6 * 3, at::kFloat).view({2, 8, 6, 3});
  write_npy(options.source, images);
  EXPECT_EQ(
      message_of<DataError>([&] { load_splits(options); }),
      options.source +
          ": has shape [2, 8, 6, 3]: axis 3, of size 3, looks like the channels, which are expected in axis 1, "
          "[items, channels, height, width]; data.channels = \"last\" reads it so, \"first\" takes axis 1, of size "
          "8, for them");
  options.channels = DataOptions::Channels::last;
  const Dataset last = load_splits(options).train;
  EXPECT_EQ(last.schema.item_shape, (Shape{3, 8, 6}));
  EXPECT_TRUE(at::equal(last.columns.at("x"), images.permute({0, 3, 1, 2}).reshape({2, -1})));
  options.channels = DataOptions::Channels::first;
  EXPECT_EQ(load_splits(options).train.schema.item_shape, (Shape{8, 6, 3}));
  options.channels = DataOptions::Channels::automatic;
  write_npy(options.source, at::ones({2, 16, 16, 10}));
  EXPECT_THROW(load_splits(options), DataError);
  write_npy(options.source, at::ones({2, 10, 16, 16}));
  EXPECT_EQ(load_splits(options).train.schema.item_shape, (Shape{10, 16, 16}));
}

TEST(Source, ExtensionsInAnyCase) {
  const TemporaryFolder folder;
  const std::string table = folder.write("A.CSV", "a,b\n1,2\n"),
                    tabs = folder.write_gzipped("b.Tsv.GZ", "a\tb\n3\t4\n");
  EXPECT_EQ(load_splits(options_for(table)).train.schema.feature_names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(load_splits(options_for(tabs)).train.columns.at("x")[0][1].item<double>(), 4);
  write_npy(folder.file("C.NPY"), at::ones({2, 3}));
  EXPECT_EQ(load_splits(options_for(folder.file("C.NPY"))).train.schema.item_shape, (Shape{3}));
  EXPECT_EQ(load_splits(options_for(folder.write("D.FASTA", ">x\nACGT\n"))).train.columns.at("x").size(0), 4);
  EXPECT_EQ(load_splits(options_for(folder.write("E.TXT", "words of a text\n"))).train.size, 1);
  EXPECT_EQ(load_splits(options_for(folder.write("F.LDAC", "1 0:2\n"))).train.size, 1);
}

// The letters idx in a name make no images.
TEST(Source, NamesThatHoldIdx) {
  const TemporaryFolder folder;
  EXPECT_EQ(load_splits(options_for(folder.write("idx_words.txt", "the cat sat\n"))).train.size, 1);
  EXPECT_EQ(load_splits(options_for(folder.write("myidx.ldac", "1 0:2\n"))).train.size, 1);
  EXPECT_EQ(load_splits(options_for(folder.write("notes.npy.txt", "the cat sat\n"))).train.size, 1);
  for (const char* name : {"t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte", "digits.idx", "digits.IDX3"}) {
    const std::string path = folder.write(name, "no images");
    EXPECT_EQ(message_of<DataError>([&] { load_splits(options_for(path)); }).substr(0, path.size() + 12),
              path + ": IDX magic ");
  }
}

TEST(Source, AFolderOfPicturesIsNoFolderOfTexts) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.file("pictures/cats"));
  write_png_grid(folder.file("pictures/cats/one.png"), at::ones({1, 1, 4, 4}), 1);
  EXPECT_EQ(message_of<DataError>([&] { load_splits(options_for(folder.file("pictures"))); }),
            folder.file("pictures") +
                ": holds pictures (cats/one.png) and no texts; images are read from IDX files and from .npy arrays "
                "[items, (channels,) height, width]");
}

TEST(Source, DeclaredTablesAndNamesWithCommas) {
  const TemporaryFolder folder;
  DataOptions options = options_for(folder.write("a.csv", "id;\"b, left\";\"kind, of\"\n1;2,5;dog\n2;-0,5;cat\n"));
  options.separator = DataOptions::Separator::semicolon;
  options.decimal = DataOptions::Decimal::comma;
  options.columns = "\"b, left\"";
  options.categories = "\"kind, of\"";
  const Dataset data = load_splits(options).train;
  EXPECT_EQ(data.schema.feature_names, (std::vector<std::string>{"b, left", "kind, of"}));
  EXPECT_TRUE(at::equal(data.columns.at("x"), at::tensor({2.5, 1., -0.5, 0.}, at::kDouble).view({2, 2})));
  options = options_for(folder.write("b.csv", "2019,2020\n1,2\n"));
  options.header = TableHeader::yes;
  EXPECT_EQ(load_splits(options).train.schema.feature_names, (std::vector<std::string>{"2019", "2020"}));
}

// A file that watches the bound takes no item from those to train on.
TEST(Source, ValidationFileLeavesEveryItemForTraining) {
  const TemporaryFolder folder;
  write_npy(folder.file("train.npy"), at::arange(40).reshape({20, 2}).to(at::kFloat));
  write_npy(folder.file("watched.npy"), at::ones({3, 2}));
  DataOptions options = options_for(folder.file("train.npy"));
  options.validation = .5;
  options.validation_file = folder.file("watched.npy");
  options.test = 4;
  const Splits splits = load_splits(options);
  EXPECT_EQ(splits.train.size, 16);
  EXPECT_EQ(splits.validation.size, 3);
  EXPECT_EQ(splits.test.size, 4);
}

TEST(Source, CsvLabelsInSortedOrder) {
  const TemporaryFolder folder;
  DataOptions options = options_for(folder.write("a.csv", "u,kind,v\n1,dog,2\n3,cat,4\n5,,6\n7,dog,8\n"));
  options.label = "kind";
  const Dataset words = load_splits(options).train;
  EXPECT_EQ(words.schema.feature_names, (std::vector<std::string>{"u", "v"}));
  EXPECT_EQ(words.schema.item_shape, (Shape{2}));
  EXPECT_EQ(words.schema.num_classes, 2);
  EXPECT_EQ(list(words.columns.at("label")), (std::vector<int64_t>{1, 0, -1, 1}));
  options = options_for(folder.write("b.tsv", "kind\tu\n10\t1\n9\t1\n10\t1\n"));
  options.label = "kind";
  EXPECT_EQ(list(load_splits(options).train.columns.at("label")), (std::vector<int64_t>{1, 0, 1}));
  options.source = folder.write("c.csv", "kind\na\nb\n");
  EXPECT_EQ(message_of<DataError>([&] { load_splits(options); }), options.source + ": has no column of numbers");
}

TEST(Source, UnknownSources) {
  EXPECT_EQ(message_of<ConfigError>([] { load_splits(DataOptions()); }),
            "data.source is not set; give fashion-mnist, mnist:DIR or a file");
  EXPECT_EQ(message_of<MissingInputError>([] { load_splits(options_for("none.csv")); }),
            "data.source: no such file: none.csv; the named sets are fashion-mnist and mnist:DIR");
  EXPECT_EQ(message_of<MissingInputError>([] { load_splits(options_for("fashon-mnist")); }),
            "data.source: no such file: fashon-mnist; the named sets are fashion-mnist and mnist:DIR (did you mean "
            "fashion-mnist?)");
  const TemporaryFolder folder;
  const std::string path = folder.write("a.dat", "some text");
  EXPECT_EQ(message_of<DataError>([&] { load_splits(options_for(path)); }),
            path +
                ": unknown format; .csv, .tsv, NumPy .npy, IDX images, FASTA and corpora (all also .gz) are read; "
                "data.format names that of a corpus, data.sequence_format that of sequences");
}

TEST(Split, PartsCoverTheDataAndKeepIdentities) {
  const TemporaryFolder folder;
  DataOptions options = options_for(counting_csv(folder, 50));
  options.validation = .2;
  options.test = 7;
  const Splits splits = load_splits(options);
  EXPECT_EQ(splits.train.size, 33);
  EXPECT_EQ(splits.validation.size, 10);
  EXPECT_EQ(splits.test.size, 7);
  std::set<int64_t> seen;
  for (const Dataset* part : {&splits.train, &splits.validation, &splits.test}) {
    const Batch batch = part->batch(at::arange(part->size, at::kLong), 0, at::kDouble);
    // Row i of the file is (i, 10 i): rows went where their identities went.
    EXPECT_TRUE(at::equal(batch.at("x").select(1, 0), batch.index.to(at::kDouble)));
    EXPECT_TRUE(at::equal(batch.at("x").select(1, 1), batch.index.to(at::kDouble) * 10));
    const std::vector<int64_t> identities = list(batch.index);
    EXPECT_TRUE(std::is_sorted(identities.begin(), identities.end()));
    seen.insert(identities.begin(), identities.end());
  }
  EXPECT_EQ(seen.size(), 50u);
  EXPECT_EQ(*seen.rbegin(), 49);
}

// Items keep their weight, wherever they go.
TEST(Split, WeightsGoWithTheirItems) {
  for (const bool ragged : {false, true})
    for (const auto split : {DataOptions::Split::random, DataOptions::Split::tail}) {
      Dataset all;
      all.size = 20;
      all.schema.item_shape = {1};
      all.columns["x"] = at::arange(20, at::kDouble).unsqueeze(1);
      all.weight = 100 + at::arange(20, at::kDouble);
      if (ragged) all.offsets = at::arange(21, at::kLong);
      DataOptions options;
      options.validation = 5;
      options.test = 4;
      options.split = split;
      const double total = all.total_weight();
      const Splits splits = hold_out(std::move(all), options);
      double sum = 0;
      for (const Dataset* part : {&splits.train, &splits.validation, &splits.test}) {
        const Batch batch = part->batch(at::arange(part->size, at::kLong), 0, at::kDouble);
        EXPECT_TRUE(at::equal(batch.weight, 100 + batch.at("x").select(1, 0))) << ragged;
        sum += part->total_weight();
      }
      EXPECT_EQ(sum, total);
    }
}

TEST(Split, IsAFunctionOfTheSeedAlone) {
  const TemporaryFolder folder;
  DataOptions options = options_for(counting_csv(folder, 50));
  options.test = 10;
  const Tensor first = load_splits(options).test.index;
  options.validation = 5;  // other parts do not move the test items
  EXPECT_TRUE(at::equal(load_splits(options).test.index, first));
  options.seed = 1;
  EXPECT_FALSE(at::equal(load_splits(options).test.index, first));
}

// A file of 256 MiB stays on disk and is not written to; its blocks of zeros take no space. An item is a row or more.
void expect_ordered_on_disk(int64_t rows_per_item) {
  const TemporaryFolder folder;
  if (temporary_files_take_memory()) GTEST_SKIP() << "temporary files lie in memory";
  const int64_t rows = 4096, width = kLargeFile / rows;
  const std::string shape = rows_per_item == 1 ? fmt::format("{}, {}", rows, width)
                                               : fmt::format("{}, {}, {}", rows, rows_per_item, width / rows_per_item);
  const std::string header = fmt::format("{{'descr': '|u1', 'fortran_order': False, 'shape': ({}), }}", shape);
  std::string start = std::string("\x93NUMPY\x01", 7) + std::string(1, '\0');
  const size_t length = 128 - start.size() - 2;
  start += std::string(1, static_cast<char>(length)) + std::string(1, '\0') + header +
           std::string(length - header.size() - 1, ' ') + "\n";
  const std::string path = folder.write("large.npy", start);
  std::filesystem::resize_file(path, static_cast<uintmax_t>(128 + kLargeFile));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  for (int64_t row = 0; row < rows; ++row) {  // the first two bytes name the item
    const char name[2] = {static_cast<char>(row % 64), static_cast<char>(row / 64)};
    file.seekp(128 + row * width);
    file.write(name, 2);
  }
  file.close();
  DataOptions options = options_for(path);
  options.validation = 0.25;
  if (rows_per_item > 1) options.sequence = "*";
  const MemoryLimit limit(kLargeFile / 2);
  const Splits splits = load_splits(options);
  EXPECT_EQ(splits.train.size, 3072);
  for (const Dataset* part : {&splits.train, &splits.validation}) {
    const Tensor first = at::arange(part->size, at::kLong) * rows_per_item;
    const Tensor x = part->columns.at("x").slice(1, 0, 2).index_select(0, first).to(at::kLong);
    EXPECT_TRUE(at::equal(x.select(1, 0) + 64 * x.select(1, 1), part->index));
  }
}

TEST(Split, RowsOfALargeFileAreOrderedInAnotherFile) { expect_ordered_on_disk(1); }
TEST(Split, SoAreItsSequences) { expect_ordered_on_disk(16); }

TEST(Split, TailTakesTheLastItems) {
  const TemporaryFolder folder;
  DataOptions options = options_for(counting_csv(folder, 20));
  options.split = DataOptions::Split::tail;
  options.limit = 10;
  options.validation = 2;
  options.test = .1;
  const Splits splits = load_splits(options);
  EXPECT_TRUE(at::equal(splits.train.index, at::arange(7, at::kLong)));
  EXPECT_EQ(list(splits.validation.index), (std::vector<int64_t>{7, 8}));
  EXPECT_EQ(list(splits.test.index), (std::vector<int64_t>{9}));
  EXPECT_EQ(splits.test.columns.at("x")[0][1].item<double>(), 90);
}

TEST(Split, HoldsSomethingOutAndLeavesSomething) {
  const TemporaryFolder folder;
  DataOptions options = options_for(counting_csv(folder, 10));
  options.validation = .01;
  EXPECT_EQ(load_splits(options).validation.size, 1);
  options.validation = 6;
  options.test = 4;
  EXPECT_EQ(message_of<ConfigError>([&] { load_splits(options); }),
            "data.validation and data.test hold out 6 + 4 of 10 items; at least one must be left to train on");
  options.test = 1.5;
  EXPECT_EQ(message_of<ConfigError>([&] { load_splits(options); }),
            "data.test must be a fraction below 1 or a whole number of items, got 1.5");
  options.test = NAN;
  EXPECT_EQ(message_of<ConfigError>([&] { load_splits(options); }), "data.test must be a count or a fraction, got nan");
}

TEST(Split, SetsWithTheirOwnTestSetKeepIt) {
  const TemporaryFolder folder;
  write_mnist(folder, "", false);
  DataOptions options = options_for("mnist:" + folder.path().string());
  options.limit = 3;
  options.validation = 1;
  const Splits splits = load_splits(options);
  EXPECT_EQ(splits.train.size, 2);
  EXPECT_EQ(splits.validation.size, 1);
  EXPECT_EQ(splits.test.size, 4);
  options.test = 2;
  EXPECT_EQ(message_of<ConfigError>([&] { load_splits(options); }),
            "data.test has no effect: " + options.source + " has a test set of its own");
}

TEST(Source, BinarizeNeedsGreyLevels) {
  const TemporaryFolder folder;
  DataOptions options = options_for(counting_csv(folder, 3));
  options.binarize = Binarize::fixed;
  EXPECT_EQ(message_of<DataError>([&] { load_splits(options); }),
            options.source + ": data.binarize needs values in [0, 1], got values in [0, 20]");
}

/// Notes the fields that have an effect.
class FieldNames final : public OptionVisitor {
 public:
  void operator()(const char* name, bool&, const char*) override { note(name); }
  void operator()(const char* name, int64_t&, Range, const char*) override { note(name); }
  void operator()(const char* name, double&, Range, const char*) override { note(name); }
  void operator()(const char* name, std::string&, const char*) override { note(name); }
  void operator()(const char* name, std::optional<double>&, const char*, Range, const char*) override { note(name); }
  void operator()(const char* name, std::vector<int64_t>&, Range, const char*) override { note(name); }
  void operator()(const char* name, std::vector<double>&, Range, const char*) override { note(name); }
  void word(const char* name, std::string&, const std::vector<std::string>&, const char*) override { note(name); }
  void operator()(const char* name, Choice&, const char*) override { note(name); }
  void operator()(const char* name, Options&, const char*) override { note(name); }
  void operator()(const char* name, Sections&, const char*) override { note(name); }
  void when(bool holds, const std::string&, const std::function<void()>& body) override {
    if (holds) body();
  }
  using OptionVisitor::operator();
  std::set<std::string> names;

 private:
  void note(const char* name) { names.insert(name); }
};

TEST(Source, OptionsWithAnEffect) {
  const auto names = [](DataOptions options) {
    FieldNames visitor;
    options.visit(visitor);
    return visitor.names;
  };
  const std::set<std::string> always = {"source", "limit", "validation", "binarize", "max_memory"};
  const auto plus = [&](std::set<std::string> more) {
    more.insert(always.begin(), always.end());
    return more;
  };
  EXPECT_EQ(names(options_for("fashion-mnist")), plus({"labels_kept"}));
  EXPECT_EQ(names(options_for("a.npy")), plus({"test", "sequence", "validation_file", "channels"}));
  EXPECT_EQ(names(options_for("a.csv.gz")), plus({"test", "label", "columns", "categories", "sequence",
                                                  "validation_file", "header", "separator", "decimal"}));
  DataOptions held = options_for("mnist:x");
  held.validation = .1;
  EXPECT_EQ(names(held), plus({"split", "labels_kept"}));
  held = options_for("a.npy");
  held.validation = .1;
  held.validation_file = "b.npy";  // nothing is held out of a.npy then
  EXPECT_EQ(names(held), (std::set<std::string>{"source", "limit", "binarize", "max_memory", "test", "sequence",
                                                "validation_file", "channels"}));
}

TEST(Source, FashionMnist) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    EXPECT_EQ(message_of<MissingInputError>([] { load_splits(options_for("fashion-mnist")); }),
              "data.source: fashion-mnist is not in /usr/share/datasets/fashion-mnist; apt-get install "
              "dataset-fashion-mnist");
    GTEST_SKIP() << "Debian's dataset-fashion-mnist is not installed";
  }
  DataOptions options = options_for("fashion-mnist");
  options.validation = 10000;
  const Splits splits = load_splits(options);
  EXPECT_EQ(splits.train.size, 50000);
  EXPECT_EQ(splits.validation.size, 10000);
  EXPECT_EQ(splits.test.size, 10000);
  EXPECT_EQ(splits.train.schema.num_classes, 10);
  EXPECT_EQ(list(splits.test.columns.at("label").bincount()), std::vector<int64_t>(10, 1000));
  // The mean grey level of the 60,000 training images is the well-known .2860.
  const double sum = splits.train.columns.at("x").sum(at::kLong).item<double>() +
                     splits.validation.columns.at("x").sum(at::kLong).item<double>();
  EXPECT_NEAR(sum / 255 / 784 / 60000, .2860, 1e-4);
}

TEST(Source, SharedData) {
  const std::string folder = shared_data();
  if (folder.empty()) GTEST_SKIP() << "VEM_SHARED_DATA names no folder of real data";
  const Splits mnist = load_splits(options_for("mnist:" + folder + "/images"));
  EXPECT_EQ(mnist.train.size, 60000);
  EXPECT_EQ(mnist.test.size, 10000);
  const Dataset static_mnist =
      load_splits(options_for(folder + "/images/binmnist-larochelle-valid-idx3-ubyte.gz")).train;
  EXPECT_EQ(static_mnist.pixel_scale, 1);
  const Dataset faithful = load_splits(options_for(folder + "/tab/faithful.csv")).train;
  EXPECT_EQ(faithful.schema.feature_names, (std::vector<std::string>{"eruptions", "waiting"}));
  EXPECT_EQ(faithful.size, 272);
  DataOptions iris = options_for(folder + "/tab/iris.csv");
  EXPECT_EQ(message_of<DataError>([&] { load_splits(iris); }),
            iris.source +
                ":2: column 'Species' holds 'setosa', a number is expected; data.columns names the columns to read");
  iris.label = "Species";
  EXPECT_EQ(load_splits(iris).train.schema.num_classes, 3);
  DataOptions stars = options_for(folder + "/tab/hipparcos-tycho-stars.csv.gz");
  stars.label = "spt";
  EXPECT_EQ(load_splits(stars).train.size, 125982);
}

TEST(Source, KeepsSomeLabelsOfEveryClass) {
  const TemporaryFolder folder;
  std::string text = "a,class\n";
  for (int i = 0; i < 60; ++i) text += fmt::format("{},{}\n", i, i % 6 < 3 ? "x" : i % 6 < 5 ? "y" : "z");
  DataOptions options = options_for(folder.write("classes.csv", text));
  options.label = "class";
  options.seed = 3;
  const Tensor all = load_splits(options).train.columns.at("label");
  options.labels_kept = 8;
  const Tensor kept = load_splits(options).train.columns.at("label");
  EXPECT_TRUE(((kept == all).logical_or(kept == -1)).all().item<bool>());
  EXPECT_EQ(list(at::bincount(kept.masked_select(kept >= 0))), (std::vector<int64_t>{3, 3, 2}));
  EXPECT_TRUE(at::equal(load_splits(options).train.columns.at("label"), kept));
  options.seed = 4;
  EXPECT_FALSE(at::equal(load_splits(options).train.columns.at("label"), kept));
  options.labels_kept = 1000;
  EXPECT_TRUE(at::equal(load_splits(options).train.columns.at("label"), all));
  options.label.clear();
  options.columns = "a";
  EXPECT_THROW(load_splits(options), ConfigError);
}

}  // namespace source_test
}  // namespace vem
