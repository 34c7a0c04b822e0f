// Results as text, .npy and csv. Every byte goes through write_atomically, so each failure is found and leaves nothing.
#include "vem/data/writers.h"

#include <fmt/compile.h>

#include <cctype>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <initializer_list>
#include <string_view>
#include <system_error>

#include "vem/core/error.h"

namespace vem {

namespace {

/// Writes the pieces one after the other. Throws std::system_error, which write_atomically turns into an OutputError.
void write_file(const std::string& path, std::initializer_list<std::string_view> pieces) {
  errno = 0;
  std::ofstream out(path, std::ios::binary);  // which goes on after an interrupted or a short write
  int reason = 0;
  for (const std::string_view piece : pieces) {
    out.write(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (!out && reason == 0) reason = errno;
  }
  // The last bytes leave the buffer only here, so a full disk may show only here.
  out.close();
  if (!out) throw std::system_error(reason ? reason : errno ? errno : EIO, std::generic_category());
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
