// Harnesses for the readers of src/data: one a format, and one for files of any kind as --data takes them.
#include <zlib.h>

#include "fuzz/harness.h"
#include "vem/core/error.h"
#include "vem/data/source.h"

namespace vem {
namespace {

/// Every item of a data set, as training would take them.
void take_all(const Dataset& data) { data.batch(at::arange(data.size, at::kLong), 0, at::kDouble); }

/// Several ways to read one file: an error of one of them is no reason to leave out the others.
void attempt(const std::function<void()>& read) {
  try {
    read();
  } catch (const Error&) {
  }
}

void read_table(const std::string& path) {
  attempt([&] { read_csv(path, ','); });
  attempt([&] { read_csv(path, ',', {}, {}, /*map_from=*/1); });
  TableFormat format(';');
  format.decimal = ',';
  format.header = TableHeader::no;
  attempt([&] { read_csv(path, format, {"x1"}); });
  attempt([&] { read_csv(path, '\t', {}, read_column_names(path, '\t')); });
  DataOptions options;
  options.source = path;
  options.label = "b";
  options.categories = "c";
  options.test = 0.5;
  attempt([&] { take_all(load_splits(options).test); });
  options.label.clear();
  options.sequence = "b";
  attempt([&] { take_all(load_splits(options).train); });
}

void read_array(const std::string& path) {
  attempt([&] { read_npy(path); });
  attempt([&] { read_npy(path, /*map_from=*/1).clone(); });
  DataOptions options;
  options.source = path;
  options.sequence = "*";
  attempt([&] { take_all(load_splits(options).train); });
}

void read_documents(const std::string& path, CorpusFormat format) {
  CorpusOptions options;
  options.format = format;
  attempt([&] { take_all(rows_of_counts(read_corpus(path, options)).first(2)); });
  options.min_document_frequency = 2;
  attempt([&] { take_all(read_corpus(path, options)); });
  options.min_document_frequency = 0;
  options.stream = true;
  attempt([&] { take_all(read_corpus(path, options)); });
}

void read_symbols_of(const std::string& path, SequenceFormat format) {
  SequenceOptions options;
  options.format = format;
  attempt([&] { take_all(read_sequences(path, options)); });
  options.unit = SymbolUnit::characters;
  options.alphabet = "a b ä";
  options.unseen = Unseen::missing;
  attempt([&] { take_all(read_sequences(path, options)); });
}

/// The file as the vocabulary and the stop words of a text.
void read_vocabulary(const std::string& path) {
  CorpusOptions options;
  options.format = CorpusFormat::text;
  options.vocabulary = options.stop_words = path;
  attempt([&] { read_corpus(path, options); });
  options.tokenization = Tokenization::bytes;
  attempt([&] { read_corpus(path, options); });
}

void read_source(const std::string& path) {
  DataOptions options;
  options.source = path;
  options.validation = 0.5;
  attempt([&] { take_all(load_splits(options).validation); });
}

std::string gzipped(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string bytes(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(bytes.size());
  deflate(&stream, Z_FINISH);
  bytes.resize(stream.total_out);
  deflateEnd(&stream);
  return bytes;
}

std::string npy(const std::string& type, const std::string& order, const std::string& shape, const std::string& bytes) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': (" + shape + "), }";
  header.resize(118, ' ');
  return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + bytes;
}

std::string idx(const std::string& sizes, size_t bytes) {
  return std::string("\0\0\x08", 3) + static_cast<char>(sizes.size() / 4) + sizes + std::string(bytes, '\x7f');
}

/// Each seed also gzipped.
Harness harness(const char* name, const char* file, std::function<void(const std::string&)> read,
                std::vector<std::string> seeds) {
  seeds.push_back(gzipped(seeds[0]));
  return {name, file, std::move(read), std::move(seeds)};
}

}  // namespace

const std::vector<Harness>& harnesses() {
  const auto documents = [](CorpusFormat format) {
    return [format](const std::string& path) { read_documents(path, format); };
  };
  const auto symbols = [](SequenceFormat format) {
    return [format](const std::string& path) { read_symbols_of(path, format); };
  };
  const std::string four("\0\0\0\4", 4), two("\0\0\0\2", 4);
  using C = CorpusFormat;
  static const std::vector<Harness> all{
      harness("csv", "t.csv", read_table,
              {"a,b,c\n1,2,x\n-3e2,,y\n", "\"a\",\"b, \"\"c\"\"\"\r\n\"1\", \"2\"\r\n", "0,1,2\n1.5,0.5,2\n",
               ",a,b\nr1,1,2\nr2,NA,NaN\n", "a;b\n1,5;2\n", "a\tb\n1\t2\n", "b,c,d\nu,v,1\nu,w,2\nz,v,3\n"}),
      harness("npy", "a.npy", read_array,
              {npy("<f8", "False", "2,", std::string(16, '\x40')), npy(">i4", "True", "2, 3", std::string(24, '\x01')),
               npy("|u1", "False", "2, 3, 3, 1", std::string(18, '\x02')), npy("|b1", "False", "", "\x01"),
               npy("<f4", "False", "2, 3, 2", std::string(48, '\x3f'))}),
      harness("idx", "train-images-idx3-ubyte", [](const std::string& path) { read_idx(path); },
              {idx(two + four + four, 32), idx(four, 4)}),
      harness("lda-c", "c.ldac", documents(C::lda_c), {"2 0:1 3:2\n0\n1 3:4\n", "1 5:1e0\n"}),
      harness("uci", "docword.c.txt", documents(C::uci), {"3\n4\n3\n1 1 2\n1 4 1\n3 2 5\n", "0\n0\n0\n"}),
      harness("matrix-market", "c.mtx", documents(C::matrix_market),
              {"%%MatrixMarket matrix coordinate integer general\n% c\n2 3 2\n2 3 1\n1 1 4\n",
               "%%MatrixMarket matrix coordinate pattern general\n2 3 2\n2 3\n1 1\n"}),
      harness("svmlight", "c.svm", documents(C::svmlight), {"1 1:2 4:1 # c\n-1 qid:3 2:1\n", "# c\na 1:0\n"}),
      harness("gibbs-lda", "c.low", documents(C::gibbs_lda), {"2\na b a\nc\n", "0\n"}),
      harness("mallet", "c.mallet", documents(C::mallet), {"n1 l1 A cat, a dog\nn2 l2 d\xc3\xb6gs can't\n"}),
      harness("text", "c.txt", documents(C::text),
              {"the cat's dog\n\nna\xc3\xafve caf\xc3\xa9 \xe7\x8c\xab\xe7\x8b\x97\n",
               "\xef\xbb\xbf"
               "a-b c\r\nd\r"}),
      harness("vocabulary", "v.txt", read_vocabulary, {"cat\ndog\ncaf\xc3\xa9\n", "a b\n\n\n"}),
      harness("symbols", "s.txt", symbols(SequenceFormat::symbols), {"a b a\nb\n", "ab\xc3\xa4 \xcc\x88\n"}),
      harness("fasta", "s.fa", symbols(SequenceFormat::fasta), {">x\nACGT\nNNU-\n>y\nAC*\n", ";c\n>p\nMKV\n"}),
      harness("piano-roll", "p.txt", symbols(SequenceFormat::piano_roll), {"0 21 60\n0\n3 108\n"}),
      harness("source", "file", read_source,
              {"1 2:3 4:1\n2 0:1 2:2\n", "3\n4\n3\n1 1 2\n1 4 1\n3 2 5\n", ">x\nACGT\n>y\nAA\n", "2\na b\nc d\n",
               "1 1:2\n2 2:2\n", npy("<f8", "False", "2,", std::string(16, '\x40')), idx(two + four + four, 32),
               "%%MatrixMarket matrix coordinate integer general\n2 3 2\n2 3 1\n1 1 4\n"}),
  };
  return all;
}

}  // namespace vem
