// Results as text, .npy and csv. Every byte goes through write_atomically, so each failure is found and leaves nothing.
#include "vem/data/writers.h"

#include <fcntl.h>
#include <fmt/compile.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <string_view>
#include <system_error>

#include "vem/core/error.h"

namespace vem {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_errno() { throw std::system_error(errno, std::generic_category()); }

/// Flushes a file, or a folder (what a rename has changed), to disk.
void flush_to_disk(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail_errno();
  const bool failed = ::fsync(file) != 0 && errno != EINVAL;  // EINVAL: a file system that can not
  const int reason = errno;
  ::close(file);
  if (failed) throw std::system_error(reason, std::generic_category());
}

/// Writes the pieces one after the other. Throws std::system_error, which write_atomically turns into an OutputError.
void write_file(const std::string& path, std::initializer_list<std::string_view> pieces) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) fail_errno();
  bool done = true;
  int reason = 0;
  for (const std::string_view piece : pieces) {
    done = done && std::fwrite(piece.data(), 1, piece.size(), file) == piece.size();
    if (!done && reason == 0) reason = errno;
  }
  // The last bytes leave the buffer only here, so a full disk may show only here.
  if (std::fclose(file) != 0 && done) fail_errno();
  if (!done) throw std::system_error(reason, std::generic_category());
}

/// The end of a chain of links: a rename would replace the link instead of what it names.
fs::path resolved(const std::string& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  const fs::path target = fs::weakly_canonical(path, error);
  return error ? fs::path(path) : target;
}

/// Removes a file at the end of its scope unless it was renamed away.
struct Removal {
  ~Removal() {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
  std::string path;
};

void write_and_rename(const std::string& path, const std::function<void(const std::string&)>& write) {
  const fs::path target = resolved(path);
  std::error_code ignored;
  if (fs::is_directory(target, ignored)) throw std::system_error(EISDIR, std::generic_category());
  // A device or a pipe (/dev/stdout) is written to: a rename would replace it by a file.
  if (fs::exists(target, ignored) && !fs::is_regular_file(target, ignored)) return write(target.string());
  // A file that may not be written to stays: a rename would get around its permissions.
  if (fs::exists(target, ignored) && ::access(target.c_str(), W_OK) != 0) fail_errno();
  const Removal temporary{fmt::format("{}.{}.tmp", target.string(), ::getpid())};
  write(temporary.path);
  flush_to_disk(temporary.path);
  if (std::rename(temporary.path.c_str(), target.c_str()) != 0) fail_errno();
  flush_to_disk(target.has_parent_path() ? target.parent_path().string() : ".");
}

std::string npy_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "<f4";
    case at::kDouble:
      return "<f8";
    case at::kByte:
      return "|u1";
    case at::kInt:
      return "<i4";
    case at::kLong:
      return "<i8";
    case at::kBool:
      return "|b1";
    default:
      fail<DataError>("write_npy: values of type {} can not be written", c10::toString(type));
  }
}

/// Magic, version 1.0, length and dictionary, padded to a multiple of 64 bytes as NumPy does.
std::string npy_header(const Tensor& tensor) {
  std::string shape;
  for (const int64_t size : tensor.sizes()) shape += fmt::format("{}, ", size);
  if (tensor.dim() > 1) shape.resize(shape.size() - 2);  // a tuple of one keeps its comma
  if (tensor.dim() == 1) shape.pop_back();
  std::string dictionary =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", npy_type(tensor.scalar_type()), shape);
  dictionary.resize((10 + dictionary.size() + 1 + 63) / 64 * 64 - 11, ' ');
  dictionary += '\n';
  const auto length = dictionary.size();
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(length & 0xff) + static_cast<char>(length >> 8) +
         dictionary;
}

/// A name as a csv cell: quoted where it would be read as something else.
std::string quoted(const std::string& name) {
  const bool blanks = !name.empty() && (std::isspace(static_cast<unsigned char>(name.front())) ||
                                        std::isspace(static_cast<unsigned char>(name.back())));
  if (!blanks && name.find_first_of(",\"\r\n") == std::string::npos) return name;
  std::string result = "\"";
  for (const char c : name) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + '"';
}

using Words = std::vector<const std::vector<std::string>*>;  // of each column; null: numbers

/// The word that a number stands for, or null.
const std::string* word_at(const std::vector<std::string>* words, double place) {
  if (!words || !(place >= 0 && place < static_cast<double>(words->size())) || place != std::floor(place))
    return nullptr;
  return &(*words)[static_cast<size_t>(place)];
}

template <class T>
void append_rows(fmt::memory_buffer& text, const Tensor& values, const Words& words, const Spelling& spelling) {
  const Tensor rows = values.contiguous();
  const T* value = rows.data_ptr<T>();
  for (int64_t r = 0; r < rows.size(0); ++r)
    for (int64_t c = 0; c < rows.size(1); ++c, ++value) {
      const std::vector<std::string>* const own = words[static_cast<size_t>(c)];
      const std::string* word = spelling ? spelling(r, c) : nullptr;
      if (!word) word = word_at(own, static_cast<double>(*value));
      // fmt writes the shortest decimals that read back to the same number.
      if (word)
        fmt::format_to(std::back_inserter(text), "{}", quoted(*word));
      else if (*value == *value)
        fmt::format_to(std::back_inserter(text), FMT_COMPILE("{}"), *value);
      else
        text.append(std::string_view(own ? "NA" : "NaN"));
      text.push_back(c + 1 < rows.size(1) ? ',' : '\n');
    }
}

}  // namespace

void write_atomically(const std::string& path, const std::function<void(const std::string&)>& write) {
  try {
    write_and_rename(path, write);
  } catch (const Error&) {
    throw;
  } catch (const std::system_error& error) {
    const fs::path folder = fs::path(path).parent_path();
    std::error_code ignored;
    if (!folder.empty() && !fs::is_directory(folder, ignored))
      fail<OutputError>("{}: can not be written: there is no folder {}", path, folder.string());
    fail<OutputError>("{}: can not be written: {}", path, error.code().message());
  } catch (const std::exception& error) {
    const std::string_view what = error.what();  // LibTorch appends a stack trace
    fail<OutputError>("{}: can not be written: {}", path, what.substr(0, what.find('\n')));
  }
}

void write_text(const std::string& path, const std::string& text) {
  write_atomically(path, [&](const std::string& file) { write_file(file, {text}); });
}

void write_npy(const std::string& path, const Tensor& tensor) {
  const Tensor values = tensor.detach().contiguous();
  const std::string header = npy_header(values);
  const std::string_view bytes(static_cast<const char*>(values.data_ptr()), values.nbytes());
  write_atomically(path, [&](const std::string& file) { write_file(file, {header, bytes}); });
}

void write_csv(const std::string& path, const Tensor& values, const std::vector<std::string>& names,
               const std::map<std::string, std::vector<std::string>>& words, const Spelling& spelling) {
  if (values.dim() != 2 || values.size(1) != static_cast<int64_t>(names.size()))
    fail<DataError>("write_csv: values of {} dimensions, [rows, {}] is expected, one column a name", values.dim(),
                    names.size());
  Words words_of_column;
  for (const std::string& name : names) words_of_column.push_back(words.count(name) ? &words.at(name) : nullptr);
  fmt::memory_buffer text;
  for (size_t c = 0; c < names.size(); ++c)
    fmt::format_to(std::back_inserter(text), "{}{}", quoted(names[c]), c + 1 < names.size() ? ',' : '\n');
  if (values.scalar_type() == at::kFloat)
    append_rows<float>(text, values.detach(), words_of_column, spelling);
  else if (values.is_floating_point())
    append_rows<double>(text, values.detach().to(at::kDouble), words_of_column, spelling);
  else
    append_rows<int64_t>(text, values.to(at::kLong), words_of_column, spelling);
  const std::string_view bytes(text.data(), text.size());
  write_atomically(path, [&](const std::string& file) { write_file(file, {bytes}); });
}

void write_lda_c(const std::string& path, const Tensor& word, const Tensor& count, const Tensor& offsets) {
  std::string text;
  const int64_t* offset = offsets.data_ptr<int64_t>();
  for (int64_t d = 0; d + 1 < offsets.size(0); ++d) {
    text += std::to_string(offset[d + 1] - offset[d]);
    for (int64_t i = offset[d]; i < offset[d + 1]; ++i)
      text += fmt::format(" {}:{}", word.data_ptr<int32_t>()[i], count.data_ptr<int32_t>()[i]);
    text += '\n';
  }
  write_text(path, text);
}

void write_matrix_market(const std::string& path, const Tensor& values, double least) {
  const Tensor rows = values.to(at::kDouble), places = rows.ge(least).nonzero();
  std::string text = fmt::format("%%MatrixMarket matrix coordinate real general\n{} {} {}\n", rows.size(0),
                                 rows.size(1), places.size(0));
  const auto place = places.accessor<int64_t, 2>();
  const auto value = rows.accessor<double, 2>();
  for (int64_t i = 0; i < places.size(0); ++i)
    text += fmt::format("{} {} {}\n", place[i][0] + 1, place[i][1] + 1, value[place[i][0]][place[i][1]]);
  write_text(path, text);
}

}  // namespace vem
