// Reading and writing safetensors files: eight bytes of header length (little endian), the header, the tensors' bytes.
// What the header may say is checked in safetensors_header.cpp.
#include "vem/train/safetensors.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "safetensors_header.h"
#include "vem/core/error.h"
#include "vem/data/writers.h"

namespace vem {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLengthBytes = 8;  // bytes of the header's length

std::array<char, kLengthBytes> little_endian(uint64_t value) {
  std::array<char, kLengthBytes> bytes{};
  for (size_t i = 0; i < kLengthBytes; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  return bytes;
}

/// Wide types first, as the public implementation does: every tensor is then aligned to its own type.
std::vector<std::pair<std::string, Tensor>> in_file_order(const TensorMap& tensors) {
  std::vector<std::pair<std::string, Tensor>> order;
  for (const auto& [name, tensor] : tensors) order.emplace_back(name, tensor.detach().cpu().contiguous());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second.element_size() > b.second.element_size(); });
  return order;
}

/// A file that is read from front to back.
class Input {
 public:
  explicit Input(const std::string& path) : path_(path) {
    std::error_code error;
    if (fs::is_directory(path, error)) fail<MissingInputError>("{}: is a folder, a file is expected", path);
    errno = 0;
    stream_.open(path, std::ios::binary);
    if (!stream_) fail<MissingInputError>("{}: can not be read: {}", path, std::strerror(errno ? errno : EIO));
    left_ = fs::file_size(path, error);
    if (error) fail<MissingInputError>("{}: can not be read: {}", path, error.message());
  }
  /// Bytes that were not read yet.
  uint64_t left() const { return left_; }
  void read(void* to, uint64_t bytes) {
    if (bytes == 0) return;
    if (!stream_.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes)))
      fail<DataError>("{}: ended while it was read", path_);
    left_ -= bytes;
  }

 private:
  std::string path_;
  std::ifstream stream_;
  uint64_t left_ = 0;
};

std::string read_header(const std::string& path, Input& in) {
  if (in.left() < kLengthBytes)
    fail<DataError>("{}: has {} bytes, a safetensors file has at least {}; it is cut off", path, in.left(),
                    kLengthBytes);
  std::array<unsigned char, kLengthBytes> bytes{};
  in.read(bytes.data(), kLengthBytes);
  uint64_t length = 0;
  for (size_t i = kLengthBytes; i-- > 0;) length = length << 8 | bytes[i];
  if (length > std::min(kLargestHeader, in.left()))
    fail<DataError>(
        "{}: its header should take {} bytes, at most {} are possible; it is cut off or no safetensors file", path,
        length, std::min(kLargestHeader, in.left()));
  std::string text(length, '\0');
  in.read(text.data(), length);
  return text;
}

Tensor read_tensor(const std::string& path, Input& in, const SafetensorsEntry& e) {
  const Tensor tensor = at::empty(e.shape, e.type);
  in.read(tensor.data_ptr(), e.end - e.begin);
  if (e.type != at::kBool) return tensor;
  const Tensor bytes = at::from_blob(tensor.data_ptr(), {tensor.numel()}, at::kByte);
  if (bytes.gt(1).any().item<bool>())
    fail<DataError>("{}: tensor {} has other bytes than 0 and 1, which BOOL is made of", path, e.name);
  return tensor;
}

}  // namespace

void save_safetensors(const std::string& path, const Safetensors& file) {
  const auto tensors = in_file_order(file.tensors);
  SafetensorsHeader header{{}, file.metadata};
  uint64_t end = 0;
  for (const auto& [name, tensor] : tensors) {
    const uint64_t begin = end;
    end += tensor.nbytes();
    header.entries.push_back({name, tensor.scalar_type(), tensor.sizes().vec(), begin, end});
  }
  const std::string text = print_header(path, header);
  write_atomically(path, [&](const std::string& temporary) {
    errno = 0;
    std::ofstream out(temporary, std::ios::binary);
    out.write(little_endian(text.size()).data(), kLengthBytes);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    for (const auto& entry : tensors)
      out.write(static_cast<const char*>(entry.second.data_ptr()), static_cast<std::streamsize>(entry.second.nbytes()));
    out.close();
    if (!out) throw std::system_error(errno ? errno : EIO, std::generic_category());
  });
}

Safetensors load_safetensors(const std::string& path) {
  Input in(path);
  const std::string text = read_header(path, in);
  const SafetensorsHeader header = parse_header(path, text, in.left());
  Safetensors file{{}, header.metadata};
  for (const SafetensorsEntry& e : header.entries) file.tensors[e.name] = read_tensor(path, in, e);
  return file;
}

}  // namespace vem
