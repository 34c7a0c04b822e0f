// The safetensors format: what is written reads back, a file of the public implementation's layout, and every damage.
#include "vem/train/safetensors.h"

#include <gtest/gtest.h>

#include <random>

#include "support/temporary_folder.h"
#include "vem/core/error.h"

namespace vem {
namespace safetensors_test {

/// A file with this header, padded or not, and so many bytes of data.
std::string file_of(const std::string& header, size_t data) {
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  return length + header + std::string(data, '\1');
}

std::string entry(const std::string& type, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

class SafetensorsFile : public testing::Test {
 protected:
  /// What is wrong with a file of this header, without the path in front.
  std::string refusal(const std::string& header, size_t data = 8) const { return refusal_of(file_of(header, data)); }
  std::string refusal_of(const std::string& bytes) const {
    const std::string path = folder_.write("a", bytes);
    const std::string message = message_of<DataError>([&] { load_safetensors(path); });
    EXPECT_EQ(message.rfind(path + ": ", 0), 0u) << message;
    return message.substr(std::min(message.size(), path.size() + 2));
  }

  TemporaryFolder folder_;
};

TEST_F(SafetensorsFile, ReadsBackEveryTypeAndShape) {
  Safetensors file;
  file.metadata = {{"config", "a = \"b\"\nc = 1\n"}, {"empty", ""}, {"words", "Größe \u2264 1"}};
  const Tensor values = at::arange(6, at::kDouble).view({2, 3}) - 2.5;
  for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf, at::kLong, at::kInt, at::kShort, at::kChar,
                          at::kByte, at::kBool}) {
    const std::string name = toString(type);
    file.tensors[name] = values.abs().to(type);
    file.tensors[name + ".scalar"] = file.tensors[name][1][2];
    file.tensors[name + ".empty"] = at::empty({3, 0, 2}, type);
  }
  file.tensors["transposed"] = values.t();
  file.tensors["with gradient"] = values.clone().requires_grad_();
  file.tensors["not numbers"] = at::tensor({std::nan(""), -INFINITY, -0., 5e-324}, at::kDouble);
  save_safetensors(folder_.file("a"), file);
  const Safetensors read = load_safetensors(folder_.file("a"));
  EXPECT_EQ(read.metadata, file.metadata);
  ASSERT_EQ(read.tensors.size(), file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    const Tensor& got = read.tensors.at(name);
    EXPECT_EQ(got.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(got.is_contiguous() && !got.requires_grad()) << name;
    EXPECT_TRUE(at::allclose(got, tensor.detach(), 0, 0, true)) << name;
  }
  EXPECT_TRUE(at::signbit(read.tensors.at("not numbers"))[2].item<bool>());
  EXPECT_EQ(folder_.num_entries(), 1);
}

TEST_F(SafetensorsFile, NothingIsAFileToo) {
  save_safetensors(folder_.file("a"), {});
  EXPECT_EQ(read_bytes(folder_.file("a")), file_of("{}      ", 0));
  EXPECT_TRUE(load_safetensors(folder_.file("a")).tensors.empty());
}

// The public implementation: wide types first, then names; the header padded with spaces to a multiple of 8.
TEST_F(SafetensorsFile, LaysBytesOutAsThePublicImplementation) {
  const Tensor wide = at::tensor({1.5}, at::kDouble), narrow = at::tensor({7, 8, 9}, at::kByte);
  save_safetensors(folder_.file("a"), {{{"a", narrow}, {"b", wide}}, {{"k", "v"}}});
  std::string header = R"({"__metadata__":{"k":"v"},"a":{"data_offsets":[8,11],"dtype":"U8","shape":[3]},)"
                       R"("b":{"data_offsets":[0,8],"dtype":"F64","shape":[1]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  std::string wanted = file_of(header, 0) + std::string("\0\0\0\0\0\0\xf8\x3f\7\10\11", 11);
  EXPECT_EQ(read_bytes(folder_.file("a")), wanted);
}

TEST_F(SafetensorsFile, ReadsHeadersOfOthers) {
  const std::string spaced =
      "{ \"b\" : " + entry("F32", "[ 2 ]", "[ 0 , 8 ]") + " , \"a\": " + entry("U8", "[1,1]", "[8,9]") + "}";
  const Safetensors file = load_safetensors(folder_.write("a", file_of(spaced, 9)));
  EXPECT_EQ(file.tensors.at("b").sizes(), (Shape{2}));
  EXPECT_EQ(file.tensors.at("a").item<int64_t>(), 1);
  EXPECT_TRUE(file.metadata.empty());
}

// Byte for byte what the public Python package writes of {"b": float16 [2], "a": int16 [1], "flag": bool []} with the
// metadata {"format": "pt"}: compact JSON in its own order of keys, then spaces.
TEST_F(SafetensorsFile, ReadsWhatThePythonPackageWrites) {
  std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"I16","shape":[1],"data_offsets":[0,2]},)"
      R"("b":{"dtype":"F16","shape":[2],"data_offsets":[2,6]},"flag":{"dtype":"BOOL","shape":[],"data_offsets":[6,7]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  const std::string data("\xfe\xff\x00\x3c\x00\xc1\x01", 7);  // -2; 1, -2.5; true
  const Safetensors file = load_safetensors(folder_.write("a", file_of(header, 0) + data));
  EXPECT_EQ(file.metadata.at("format"), "pt");
  EXPECT_EQ(file.tensors.at("a").item<int16_t>(), -2);
  EXPECT_EQ(file.tensors.at("b").scalar_type(), at::kHalf);
  EXPECT_TRUE(at::equal(file.tensors.at("b").to(at::kFloat), at::tensor({1.f, -2.5f})));
  EXPECT_EQ(file.tensors.at("flag").dim(), 0);
  EXPECT_TRUE(file.tensors.at("flag").item<bool>());
}

TEST_F(SafetensorsFile, RefusesToWriteWhatTheFormatCanNotHold) {
  const std::string path = folder_.file("a");
  const auto words = [&](const Safetensors& file) {
    return message_of<DataError>([&] { save_safetensors(path, file); });
  };
  EXPECT_EQ(words({{{"z", at::zeros({1}, at::kComplexFloat)}}, {}}),
            path + ": tensor z is of type ComplexFloat, which can not be written; convert it first");
  EXPECT_EQ(words({{{"__metadata__", at::zeros({1})}}, {}}), path + ": no tensor can be called __metadata__");
  EXPECT_EQ(words({{}, {{"config", "\xff"}}}),
            path + ": can not be written: a name or a text in its metadata is not UTF-8");
  EXPECT_EQ(folder_.num_entries(), 0);
}

TEST_F(SafetensorsFile, SaysWhyItCanNotBeRead) {
  const std::string none = folder_.file("none");
  EXPECT_EQ(message_of<MissingInputError>([&] { load_safetensors(none); }),
            none + ": can not be read: No such file or directory");
  const std::string folder = folder_.path().string();
  EXPECT_EQ(message_of<MissingInputError>([&] { load_safetensors(folder); }),
            folder + ": is a folder, a file is expected");
}

TEST_F(SafetensorsFile, RefusesADamagedFrame) {
  EXPECT_EQ(refusal_of("1234"), "has 4 bytes, a safetensors file has at least 8; it is cut off");
  EXPECT_EQ(
      refusal_of("x,y\n1.0,2.0\n"),
      "its header should take 3184095724714929272 bytes, at most 4 are possible; it is cut off or no safetensors file");
  EXPECT_EQ(refusal_of(file_of("{}", 0).substr(0, 9)),
            "its header should take 2 bytes, at most 1 are possible; it is cut off or no safetensors file");
  EXPECT_EQ(refusal("{\"a\":"), "its header is no valid JSON; is this a safetensors file?");
  EXPECT_EQ(refusal("{\"\xff\":1}"), "its header is no valid JSON; is this a safetensors file?");
  for (const std::string header : {"[1]", "", " {}", "\n{}", "\xef\xbb\xbf{}", "null"})
    EXPECT_EQ(refusal(header, 0), "its header does not begin with {; is this a safetensors file?") << header;
  EXPECT_EQ(refusal("{}x"), "its header is no valid JSON; is this a safetensors file?");
  EXPECT_EQ(refusal("{\"a\":" + std::string(1000, '[')),
            "its header is nested too deeply; is this a safetensors file?");
}

TEST_F(SafetensorsFile, RefusesADamagedEntry) {
  EXPECT_EQ(refusal(R"({"a":3})"), "tensor a is described by number, an object is expected");
  EXPECT_EQ(refusal(R"({"a":{"shape":[2],"data_offsets":[0,8]}})"), "tensor a has no dtype");
  EXPECT_EQ(refusal(R"({"a":)" + entry("F7", "[2]", "[0,8]") + "}"),
            "tensor a has the unknown dtype \"F7\", one of F64, F32, BF16, F16, I64, I32, I16, I8, U8, BOOL is "
            "expected");
  EXPECT_EQ(refusal(R"({"a":)" + entry("F32", "2", "[0,8]") + "}"), "tensor a has no list shape");
  EXPECT_EQ(refusal(R"({"a":)" + entry("F32", "[2.0]", "[0,8]") + "}"),
            "tensor a has 2.0 in its shape, a whole number from 0 is expected");
  EXPECT_EQ(refusal(R"({"a":)" + entry("F32", "[-2]", "[0,8]") + "}"),
            "tensor a has -2 in its shape, a whole number from 0 is expected");
  EXPECT_EQ(refusal(R"({"a":)" + entry("F32", "[2]", "[0,18446744073709551615]") + "}"),
            "tensor a has 18446744073709551615 in its data_offsets, a whole number from 0 is expected");
  EXPECT_EQ(refusal(R"({"a":)" + entry("F32", "[2]", "[8]") + "}"),
            "tensor a has data_offsets [8], [begin, end] is expected");
  EXPECT_EQ(refusal(R"({"a":)" + entry("F32", "[2]", "[8,0]") + "}"),
            "tensor a has data_offsets [8, 0], [begin, end] is expected");
  EXPECT_EQ(refusal(R"({"a":)" + entry("F32", "[3]", "[0,8]") + "}"),
            "tensor a takes 8 bytes, its shape [3] of F32 needs 12");
  // The products are 2^64 and, of an empty tensor whose strides are computed all the same, 2^66.
  EXPECT_EQ(refusal(R"({"a":)" + entry("F32", "[4294967296,4294967296]", "[0,8]") + "}"),
            "tensor a has the impossible shape [4294967296, 4294967296]");
  EXPECT_EQ(refusal(R"({"a":)" + entry("F32", "[0,4294967296,4294967296]", "[0,0]") + "}", 0),
            "tensor a has the impossible shape [0, 4294967296, 4294967296]");
  EXPECT_EQ(refusal(R"({"a":)" + entry("BOOL", "[2]", "[0,2]") + "}", 0),
            "its tensors take 2 bytes, 0 are there: it is cut off");
  EXPECT_EQ(refusal_of(file_of(R"({"a":)" + entry("BOOL", "[2]", "[0,2]") + "}", 1) + '\2'),
            "tensor a has other bytes than 0 and 1, which BOOL is made of");
}

TEST_F(SafetensorsFile, RefusesADamagedLayout) {
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":)" + entry("F32", "[1]", first) + R"(,"b":)" + entry("F32", "[1]", second) + "}";
  };
  EXPECT_EQ(refusal(two("[0,4]", "[2,6]")),
            "tensor b begins at byte 2 of the data, 4 is expected: it overlaps another one");
  EXPECT_EQ(refusal(two("[0,4]", "[0,4]")),
            "tensor b begins at byte 0 of the data, 4 is expected: it overlaps another one");
  EXPECT_EQ(refusal(two("[0,4]", "[8,12]"), 12),
            "tensor b begins at byte 8 of the data, 4 is expected: it leaves a gap");
  EXPECT_EQ(refusal(two("[0,4]", "[4,8]"), 7), "its tensors take 8 bytes, 7 are there: it is cut off");
  EXPECT_EQ(refusal(two("[0,4]", "[4,8]"), 9), "its tensors take 8 bytes, 9 are there: it has something behind them");
}

TEST_F(SafetensorsFile, RefusesNamesThatStandTwice) {
  const std::string a = entry("F32", "[2]", "[0,8]");
  EXPECT_EQ(refusal(R"({"a":)" + a + R"(,"a":)" + a + "}"), "its header names a twice");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,8]}})"),
            "its header names dtype twice");
  EXPECT_EQ(refusal(R"({"__metadata__":{"k":"1","k":"2"}})"), "its header names k twice");
}

TEST_F(SafetensorsFile, RefusesMetadataThatAreNoTexts) {
  EXPECT_EQ(refusal(R"({"__metadata__":"a"})", 0), "its metadata are string, an object is expected");
  EXPECT_EQ(refusal(R"({"__metadata__":{"k":1}})", 0), "its metadata have number for k, a text is expected");
}

/// Whether the file was read; what it refuses must be refused by an error of ours.
bool reads(const std::string& path) {
  try {
    load_safetensors(path);
    return true;
  } catch (const DataError&) {
    return false;
  }
}

TEST_F(SafetensorsFile, AnyPieceOfAFileIsRefused) {
  save_safetensors(folder_.file("a"), {{{"w", at::ones({2, 2})}, {"n", at::ones({}, at::kLong)}}, {{"k", "v"}}});
  const std::string bytes = read_bytes(folder_.file("a"));
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(reads(folder_.write("b", bytes.substr(0, size)))) << size;
}

TEST_F(SafetensorsFile, RandomDamageNeverDoesMore) {
  save_safetensors(
      folder_.file("a"),
      {{{"w", at::ones({2, 0, 3})}, {"b", at::ones({3}, at::kBool)}, {"n", at::ones({2}, at::kLong)}}, {{"k", "v"}}});
  const std::string bytes = read_bytes(folder_.file("a"));
  // Half of the new bytes are those of JSON, so that many headers stay readable.
  const std::string json = "0123456789[]{},:\"-.e \\u";
  std::mt19937 random(17);
  int read = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    std::string damaged = bytes;
    for (uint32_t changes = 1 + random() % 3; changes > 0; --changes) {
      const bool plausible = random() % 2 == 0;
      damaged[random() % damaged.size()] = plausible ? json[random() % json.size()] : static_cast<char>(random());
    }
    read += reads(folder_.write("b", damaged));
  }
  EXPECT_GT(read, 0);  // a changed value or name is a file all the same
  EXPECT_LT(read, 700);
}

}  // namespace safetensors_test
}  // namespace vem
