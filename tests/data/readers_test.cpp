// The readers on small files typed in here: values, and every way in which a file can be wrong.
#include "vem/data/readers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/core/warning.h"
#include "vem/data/writers.h"

namespace vem {
namespace readers_test {

Table csv(const std::string& text, const std::vector<std::string>& words = {}) {
  const TemporaryFolder folder;
  return read_csv(folder.write("t.csv", text), ',', words);
}

/// The message for a csv file, without the folder that it lies in.
std::string csv_error(const std::string& text, const std::vector<std::string>& words = {}) {
  const TemporaryFolder folder;
  const std::string path = folder.write("t.csv", text);
  const std::string message = message_of<DataError>([&] { read_csv(path, ',', words); });
  EXPECT_EQ(message.rfind(path, 0), 0u) << message;
  return message.substr(folder.path().string().size() + 1);
}

bool same(const Tensor& a, const std::vector<double>& b) {
  return at::equal(a.reshape({-1}), at::tensor(b, at::kDouble));
}

TEST(Idx, ReadsPlainAndGzipped) {
  const TemporaryFolder folder;
  for (const std::string& path :
       {folder.write("a", idx_bytes({3, 2, 4})), folder.write_gzipped("b", idx_bytes({3, 2, 4}))}) {
    const Tensor images = read_idx(path);
    EXPECT_EQ(images.sizes(), (at::IntArrayRef{3, 2, 4}));
    EXPECT_TRUE(at::equal(images.reshape({-1}), at::arange(24).to(at::kByte)));
  }
  EXPECT_TRUE(at::equal(read_idx(folder.write("c", idx_bytes({5}))), at::arange(5).to(at::kByte)));
  EXPECT_EQ(read_idx(folder.write("d", idx_bytes({0, 2, 4}))).numel(), 0);
}

TEST(Idx, TruncationNamesBothSizes) {
  const TemporaryFolder folder;
  const std::string whole = idx_bytes({3, 2, 4});
  const auto error = [&](const std::string& bytes) {
    const std::string path = folder.write("images", bytes), gzipped = folder.write_gzipped("images.gz", bytes);
    const std::string message = message_of<DataError>([&] { read_idx(path); });
    EXPECT_EQ(message_of<DataError>([&] { read_idx(gzipped); }).substr(gzipped.size()), message.substr(path.size()));
    return message.substr(path.size());
  };
  EXPECT_EQ(error(whole.substr(0, 39)), ": truncated: got 39 bytes, 40 are wanted");
  EXPECT_EQ(error(whole.substr(0, 9)), ": truncated: got 9 bytes, at least 16 are wanted");
  EXPECT_EQ(error(""), ": truncated: got 0 bytes, at least 8 are wanted");
  EXPECT_EQ(error(whole + "x"), ": got 41 bytes, but its header announces 40");
  // Sizes that would need exabytes must not be allocated.
  const std::string huge("\0\0\x08\x03\x7f\xff\xff\xff\x7f\xff\xff\xff\x7f\xff\xff\xff", 16);
  EXPECT_EQ(error(huge).substr(0, 33), ": truncated: got 16 bytes, 990352");
}

TEST(Idx, DamagedGzipDataAreSeen) {
  const TemporaryFolder folder;
  const std::string gzipped = read_bytes(folder.write_gzipped("a.gz", idx_bytes({100, 10, 10})));
  const std::string cut = folder.write("cut.gz", gzipped.substr(0, gzipped.size() / 2));
  const std::string message = message_of<DataError>([&] { read_idx(cut); });
  EXPECT_NE(message.find(": truncated: got "), std::string::npos) << message;
  EXPECT_NE(message.find(" bytes, 10016 are wanted"), std::string::npos) << message;
  std::string damaged = gzipped;
  damaged[damaged.size() - 6] ^= 1;  // in the check sum, so that every byte of the content is there
  const std::string path = folder.write("damaged.gz", damaged);
  EXPECT_EQ(message_of<DataError>([&] { read_idx(path); }), path + ": damaged gzip data (incorrect data check)");
}

TEST(Idx, OtherMagicIsNamed) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", std::string("\0\0\x0d\x02\0\0\0\x01\0\0\0\x01", 12) + "abcd");
  EXPECT_EQ(message_of<DataError>([&] { read_idx(path); }),
            path + ": IDX magic 0x00000d02, images (0x00000803) or labels (0x00000801) of type uint8 are expected");
}

TEST(Readers, MissingFilesAndFolders) {
  const TemporaryFolder folder;
  const std::string path = folder.file("none");
  const std::string expected = path + ": can not be read: No such file or directory";
  EXPECT_EQ(message_of<MissingInputError>([&] { read_idx(path); }), expected);
  EXPECT_EQ(message_of<MissingInputError>([&] { read_csv(path, ','); }), expected);
  EXPECT_EQ(message_of<MissingInputError>([&] { read_npy(path); }), expected);
  EXPECT_EQ(message_of<MissingInputError>([&] { read_npy(folder.path().string()); }),
            folder.path().string() + ": is a folder, a file is expected");
}

TEST(Csv, HeaderOrNone) {
  const Table named = csv("a,b\n1,2.5\n-3e2,+4\n");
  EXPECT_EQ(named.names, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(same(named.values, {1, 2.5, -300, 4}));
  const Table unnamed = csv("1,2\n3,4");
  EXPECT_EQ(unnamed.names, (std::vector<std::string>{"x1", "x2"}));
  EXPECT_EQ(unnamed.values.sizes(), (at::IntArrayRef{2, 2}));
}

TEST(Csv, MissingCellsAreNaN) {
  const Table table = csv("a,b,c,d\n1,,NA,nan\n , 5 ,NaN,\"\"\n");
  EXPECT_EQ(table.values.isnan().sum().item<int64_t>(), 6);
  EXPECT_EQ(table.values[0][0].item<double>(), 1);
  EXPECT_EQ(table.values[1][1].item<double>(), 5);
}

TEST(Csv, QuotesLineEndsAndBlankLines) {
  const Table table = csv("\xef\xbb\xbf\"a,\"\"b\"\"\",w\r\n\r\n\"1\",\"x,\"\"y\"\"\"\r\n2, z \r\n\r\n", {"w"});
  EXPECT_EQ(table.names, (std::vector<std::string>{"a,\"b\""}));
  EXPECT_TRUE(same(table.values, {1, 2}));
  EXPECT_EQ(table.words, (std::vector<std::vector<std::string>>{{"x,\"y\"", "z"}}));
}

TEST(Csv, RowNamesAreLeftOut) {
  for (const char* header : {"\"\"", "", "rownames"}) {
    const Table table = csv(std::string(header) + ",a\nfirst,3\nsecond,4\n");
    EXPECT_EQ(table.names, (std::vector<std::string>{"a"}));
    EXPECT_TRUE(same(table.values, {3, 4}));
  }
}

TEST(Csv, TabsAndTextColumnsInTheOrderAsked) {
  const TemporaryFolder folder;
  const std::string path = folder.write_gzipped("t.tsv.gz", "s\ta\tt\nx y\t1\tu\nz\t2\tv\n");
  const Table table = read_csv(path, '\t', {"t", "s"});
  EXPECT_TRUE(same(table.values, {1, 2}));
  EXPECT_EQ(table.words, (std::vector<std::vector<std::string>>{{"u", "v"}, {"x y", "z"}}));
  EXPECT_EQ(read_column_names(path, '\t'), (std::vector<std::string>{"s", "a", "t"}));
}

TEST(Csv, ChosenColumnsInTheOrderOfTheFile) {
  const TemporaryFolder folder;
  const std::string path = folder.write("t.csv", "rownames,word,a,b,c\n1,x,1,2,3\n2,y,4,,6\n");
  const Table table = read_csv(path, ',', {"word"}, {"c", "b"});
  EXPECT_EQ(table.names, (std::vector<std::string>{"b", "c"}));
  EXPECT_TRUE(same(table.values.nan_to_num(-1), {2, 3, -1, 6}));
  EXPECT_EQ(table.words, (std::vector<std::vector<std::string>>{{"x", "y"}}));
  EXPECT_EQ(read_csv(path, ',', {}, {"rownames"}).names, std::vector<std::string>{"rownames"});
}

/// A table and the warnings that came with it, without the folder that it lies in.
struct Warned {
  Table table;
  std::vector<std::string> warnings;
};
Warned warned_csv(const std::string& text, TableHeader header = TableHeader::automatic) {
  const TemporaryFolder folder;
  const std::string path = folder.write("t.csv", text);
  Warned result;
  const WarningScope scope([&](const std::string& message) {
    result.warnings.push_back(message.substr(folder.path().string().size() + 1));
  });
  TableFormat format(',');
  format.header = header;
  result.table = read_csv(path, format);
  return result;
}

TEST(Csv, AHeaderOfNumbersIsNotLost) {
  using Names = std::vector<std::string>;
  const std::string rows = "1.5,0.25,3.5\n0.5,-0.75,1\n2.25,1,4.5\n";
  // As pandas writes a frame without names.
  Warned read = warned_csv("0,1,2\n" + rows);
  EXPECT_EQ(read.table.names, (Names{"0", "1", "2"}));
  EXPECT_EQ(read.table.values.size(0), 3);
  EXPECT_EQ(read.warnings, Names{"t.csv: its first row, 0,1,2, is taken for the names of columns; data.header = \"no\" "
                                 "makes it a row"});
  EXPECT_EQ(warned_csv("0,1,2\n" + rows, TableHeader::no).table.values.size(0), 4);
  read = warned_csv(",0,1\n0,3,4\n1,5,6\n");  // with its index
  EXPECT_EQ(read.table.names, (Names{"0", "1"}));
  EXPECT_TRUE(same(read.table.values, {3, 4, 5, 6}));
  // Years: not to be told from a row.
  for (const std::string& body : {rows, std::string("4,5,6\n7,8,9\n")}) {
    read = warned_csv("2019,2020,2021\n" + body);
    EXPECT_EQ(read.table.names, (Names{"x1", "x2", "x3"}));
    EXPECT_EQ(read.warnings,
              Names{"t.csv: its first row, 2019,2020,2021, is taken for a row; data.header = \"yes\" if it "
                    "names columns, \"no\" if it does not"});
    EXPECT_EQ(warned_csv("2019,2020,2021\n" + body, TableHeader::yes).table.names, (Names{"2019", "2020", "2021"}));
  }
  EXPECT_EQ(warned_csv(",2019,2020\na,4,5\nb,7,8\n", TableHeader::yes).table.names, (Names{"2019", "2020"}));
  EXPECT_EQ(warned_csv(",2019,2020\n1,4,5\n2,7,8\n").warnings.size(), 1u);
  read = warned_csv("0,1\n0.1,0.9\n0.2,0.8\n");  // perhaps a course from 0 and 1 on
  EXPECT_EQ(read.table.values.size(0), 3);
  EXPECT_EQ(read.warnings.size(), 1u);
  // Rows like any other, and declared ones, bring no warning.
  for (const char* text : {"0,1\n1,0\n1,1\n", "3,1,2\n5,0,2\n", "1.5,2\n2.5,3\n", "0,1,2\n", "1,1,2\n0.5,0.5,1.5\n",
                           "0,1\n-2,4\n-1,-5\n", "3,1\nNA,4\n2,NA\n"}) {
    EXPECT_EQ(warned_csv(text).warnings, Names{}) << text;
    EXPECT_EQ(warned_csv(text).table.names[0], "x1") << text;
  }
  EXPECT_EQ(warned_csv("2019,2020,2021\n" + rows, TableHeader::no).warnings, Names{});
}

TEST(Csv, TwoColumnsOfOneNameAreRefused) {
  EXPECT_EQ(csv_error("a,a,c\n1,2,3\n"),
            "t.csv: columns 1 and 2 are both named 'a'; rename one, or leave them out with data.columns");
  EXPECT_EQ(csv_error("w,x,w\n1,2,3\n", {"w"}),
            "t.csv: columns 1 and 3 are both named 'w'; rename one, or leave them out with data.columns");
  const TemporaryFolder folder;
  EXPECT_TRUE(same(read_csv(folder.write("t.csv", "a,a,c\n1,2,3\n"), ',', {}, {"c"}).values, {3}));
}

TEST(Csv, BlanksBeforeQuotes) {
  const Table table = csv("\"a id\", \"b, left\",  \"c\" \n\"1\", \"0.5\", \"-2\"\n");
  EXPECT_EQ(table.names, (std::vector<std::string>{"a id", "b, left", "c"}));
  EXPECT_TRUE(same(table.values, {1, 0.5, -2}));
}

// R's write.table leaves the column of row names out of the header, pandas calls an index that it read "Unnamed: 0".
TEST(Csv, RowNamesThatTheHeaderDoesNotCount) {
  for (const char* text :
       {"\"a\",\"b\"\n\"1\",3,5\n\"2\",4,6\n", "a,b\nfirst,3,5\nsecond,4,6\n", "Unnamed: 0,a,b\n0,3,5\n1,4,6\n"}) {
    const Table table = csv(text);
    EXPECT_EQ(table.names, (std::vector<std::string>{"a", "b"})) << text;
    EXPECT_TRUE(same(table.values, {3, 5, 4, 6})) << text;
  }
}

TEST(Csv, SemicolonsAndDecimalCommasAreReadOrNamed) {
  const TemporaryFolder folder;
  const std::string path = folder.write("t.csv", "a;b\n1,5;2\n-,25;1,5e3\n");
  TableFormat format(';');
  EXPECT_EQ(message_of<DataError>([&] { read_csv(path, format); }),
            path +
                ":2: column 'a' holds '1,5', a number is expected; if its comma stands before a fraction, "
                "data.decimal = \"comma\"");
  format.decimal = ',';
  EXPECT_TRUE(same(read_csv(path, format).values, {1.5, 2, -0.25, 1500}));
  const std::string semicolon = "; a semicolon seems to separate cells: data.separator = \"semicolon\"";
  EXPECT_EQ(csv_error("a;b\n1,5;2\n"), "t.csv:2: has 2 cells, 1 are expected" + semicolon);
  EXPECT_EQ(csv_error("a;b\n1;2\n"), "t.csv:2: column 'a;b' holds '1;2', a number is expected" + semicolon);
  EXPECT_EQ(csv_error("n;a\nx;1,5\n"), "t.csv:2: has 2 cells, 1 are expected" + semicolon);
  EXPECT_EQ(csv_error("a\tb\n1\t2\n"),
            "t.csv:2: column 'a\tb' holds '1\t2', a number is expected; a tab seems to separate "
            "cells: data.separator = \"tab\"");
  const std::string points = folder.write("p.csv", "a\n1.5\n");
  EXPECT_EQ(message_of<DataError>([&] { read_csv(points, format); }),
            points +
                ":2: column 'a' holds '1.5', a number is expected; data.decimal = \"point\" reads points before "
                "fractions");
}

TEST(Csv, LinesAcrossTheBlocksThatAreRead) {
  // Blocks are of 1 MiB; rows of 7 bytes never end with one, rows of 8 bytes always do.
  for (const int64_t width : {6, 7}) {
    const int64_t rows = 400000;
    std::string text;
    for (int64_t r = 0; r < rows; ++r) text += fmt::format("{:0{}}\n", r, width);
    EXPECT_TRUE(at::equal(csv(text).values.reshape({-1}), at::arange(rows, at::kDouble)));
  }
}

TEST(Csv, NumbersBeyondTheRange) {
  EXPECT_TRUE(same(csv("1e400,-1e400,1e-400,inf\n").values, {INFINITY, -INFINITY, 0, INFINITY}));
}

TEST(Csv, ErrorsNameTheLine) {
  EXPECT_EQ(csv_error("a,b\n1,2\n\n3,x4\n"),
            "t.csv:4: column 'b' holds 'x4', a number is expected; data.columns names the columns to read");
  EXPECT_EQ(csv_error("a,b\n1,2\n3\n"), "t.csv:3: has 1 cells, 2 are expected");
  EXPECT_EQ(csv_error("a,b\n1,2,3\n"), "t.csv:2: has 3 cells, 2 are expected");
  EXPECT_EQ(csv_error("a,b\n1,\"2\n"), "t.csv:2: a quote is not closed");
  EXPECT_EQ(csv_error("\n\n"), "t.csv: holds no rows");
  EXPECT_EQ(csv_error("a,b\n"), "t.csv: holds no rows below its header");
  EXPECT_EQ(csv_error("a,b\n1,2\n", {"c"}), "t.csv: has no column named 'c'; its columns are a, b");
}

TEST(Csv, GzipDataCutShortAreNoShorterTable) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 5000; ++i) text += fmt::format("{},{}\n", i, i * i);
  const std::string gzipped = read_bytes(folder.write_gzipped("a.gz", text));
  const std::string path = folder.write("t.csv.gz", gzipped.substr(0, gzipped.size() - 9));
  const std::string message = message_of<DataError>([&] { read_csv(path, ','); });
  const size_t bytes = std::stoul(message.substr(message.rfind("after ") + 6));
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bytes), '\n');
  EXPECT_EQ(message, fmt::format("{}:{}: truncated: its gzip data end after {} bytes", path, line, bytes));
}

/// A .npy file of version 1 (or 2) around a dictionary and values.
std::string npy_bytes(const std::string& dictionary, const std::string& values, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += {version, '\0', static_cast<char>(dictionary.size()), '\0'};
  if (version > 1) bytes += std::string(2, '\0');
  return bytes + dictionary + values;
}

std::string npy_error(const std::string& bytes) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.npy", bytes);
  return message_of<DataError>([&] { read_npy(path); }).substr(path.size());
}

TEST(Npy, TypesVersionsAndShapes) {
  const TemporaryFolder folder;
  const std::string scalar = "{'descr': '<i4', 'fortran_order': False, 'shape': (), }";
  EXPECT_EQ(read_npy(folder.write("a.npy", npy_bytes(scalar, std::string("\x01\x02\0\0", 4)))).item<int32_t>(), 513);
  const std::string bytes = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n";
  const Tensor values = read_npy(folder.write_gzipped("b.npy.gz", npy_bytes(bytes, "abcdef", 2)));
  EXPECT_EQ(values.sizes(), (at::IntArrayRef{2, 3}));
  EXPECT_EQ(values[1][2].item<uint8_t>(), 'f');
  const std::string vector = "{'shape': (1,), 'fortran_order': False, 'descr': '|b1'}";
  EXPECT_TRUE(read_npy(folder.write("c.npy", npy_bytes(vector, "\x01")))[0].item<bool>());
}

// [[0, 1, 2], [3, 4, 5]] with the first index fastest, as numpy.asfortranarray is saved, in memory and on disk.
TEST(Npy, FortranOrderAndBothOrdersOfBytes) {
  const TemporaryFolder folder;
  const auto bytes_of = [](std::vector<double> values, bool big_endian) {
    std::string bytes;
    for (const double& value : values) {
      std::string own(reinterpret_cast<const char*>(&value), sizeof(value));
      if (big_endian) std::reverse(own.begin(), own.end());
      bytes += own;
    }
    return bytes;
  };
  const Tensor wanted = at::arange(6, at::kDouble).view({2, 3});
  for (const bool fortran : {false, true})
    for (const bool big : {false, true})
      for (const int64_t map_from : {int64_t{1}, kLargeFile}) {
        std::string header = fmt::format("{{'descr': '{}f8', 'fortran_order': {}, 'shape': (2, 3), }}", big ? '>' : '<',
                                         fortran ? "True" : "False");
        header.resize(118, ' ');
        const std::vector<double> values =
            fortran ? std::vector<double>{0, 3, 1, 4, 2, 5} : std::vector<double>{0, 1, 2, 3, 4, 5};
        const Tensor read = read_npy(folder.write("a.npy", npy_bytes(header, bytes_of(values, big))), map_from);
        EXPECT_TRUE(at::equal(read, wanted)) << fortran << big << map_from;
        EXPECT_TRUE(read.is_contiguous());
      }
  const std::string row = "{'descr': '>i4', 'fortran_order': True, 'shape': (1, 2, 2), }";
  const std::string four("\0\0\0\1\0\0\0\3\0\0\0\2\0\0\1\4", 16);
  EXPECT_TRUE(at::equal(read_npy(folder.write("b.npy", npy_bytes(row, four))),
                        at::tensor({1, 2, 3, 260}, at::kInt).view({1, 2, 2})));
  EXPECT_EQ(npy_error(npy_bytes("{'descr': '>U3', 'fortran_order': False, 'shape': (1,), }", "")).substr(0, 23),
            ": values of type >U3, b");
}

TEST(Npy, LargeArraysStayInTheirFile) {
  const TemporaryFolder folder;
  const Tensor values = at::arange(6000, at::kDouble).view({1000, 6});
  const std::string path = folder.file("a.npy");
  write_npy(path, values);
  const Tensor mapped = read_npy(path, 48000);
  EXPECT_TRUE(at::equal(mapped, values));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-8, std::ios::end);
  const double changed = -1;
  file.write(reinterpret_cast<const char*>(&changed), sizeof(changed));
  file.close();
  EXPECT_EQ(mapped[999][5].item<double>(), -1);                 // the file itself, not a copy
  EXPECT_EQ(read_npy(path, 48001)[999][5].item<double>(), -1);  // a copy
  const std::string bytes = read_bytes(path);
  for (const int64_t map_from : {int64_t{1}, kLargeFile}) {
    const auto error = [&](const std::string& content) {
      const std::string damaged = folder.write("b.npy", content);
      return message_of<DataError>([&] { read_npy(damaged, map_from); }).substr(damaged.size());
    };
    EXPECT_EQ(error(bytes.substr(0, bytes.size() - 1)), ": truncated: got 47999 bytes of values, 48000 are wanted");
    EXPECT_EQ(error(bytes + "x"), ": got 48001 bytes of values, but its header announces 48000");
  }
}

TEST(Csv, LargeTablesGoToATemporaryFile) {
  const TemporaryFolder folder;
  std::string text = "a,b\n";
  for (int i = 0; i < 3000; ++i) text += fmt::format("{},{}\n", i, 0.5 * i);
  const std::string path = folder.write("t.csv", text);
  const Table table = read_csv(path, ',', {}, {}, 48000), small = read_csv(path, ',');
  EXPECT_TRUE(at::equal(table.values, small.values));
  EXPECT_EQ(folder.num_entries(), 1);
}

TEST(Npy, Errors) {
  const std::string half = "{'descr': '<f2', 'fortran_order': False, 'shape': (1,), }";
  EXPECT_EQ(npy_error(npy_bytes(half, "ab")),
            ": values of type <f2, but float32, float64, uint8, int32, int64 or bool (<f4 <f8 |u1 <i4 <i8 |b1) is "
            "expected; convert with .astype('float32')");
  const std::string two = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";
  EXPECT_EQ(npy_error(npy_bytes(two, "abcdef")), ": truncated: got 6 bytes of values, 8 are wanted");
  EXPECT_EQ(npy_error(npy_bytes(two, "abcdefghi")), ": got 9 bytes of values, but its header announces 8");
  const std::string huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }";
  EXPECT_EQ(npy_error(npy_bytes(huge, "abcd")).substr(0, 45), ": truncated: got 4 bytes of values, 737869762");
  const std::string negative = "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1), }";
  EXPECT_EQ(npy_error(npy_bytes(negative, "abcd")), ": the header of this .npy file names a negative size");
  const std::string record = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }";
  EXPECT_EQ(npy_error(npy_bytes(record, "abcd")).substr(0, 24), ": values of type record,");
  EXPECT_EQ(npy_error(npy_bytes("{}", "")), ": the header of this .npy file lacks descr, fortran_order or shape");
  EXPECT_EQ(npy_error(npy_bytes(half, "", 9)), ": the header of this .npy file is damaged or of an unknown version");
  EXPECT_EQ(npy_error("1,2\n3,4\n"), ": is no .npy file (its first bytes are not those of NumPy)");
}

}  // namespace readers_test
}  // namespace vem
