// Texts of any script and files of any encoding: which words they have, and what is said about those that are not
// UTF-8.
#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/data/source.h"

namespace vem {
namespace unicode_test {

using Words = std::vector<std::string>;

Words words_of(const std::string& text, const std::string& stop_words = "none",
               Tokenization tokenization = Tokenization::automatic) {
  const TemporaryFolder folder;
  CorpusOptions options;
  options.stop_words = stop_words;
  options.tokenization = tokenization;
  return read_corpus(folder.write("a.txt", text), options).schema.feature_names;
}

TEST(Unicode, TypographicMarksAreNoLetters) {
  const std::string text = u8"“the cat” sat. it doesn’t matter — the cat,\u00A0the dog … «dog»";
  EXPECT_EQ(words_of(text), (Words{"cat", "doesn't", "dog", "it", "matter", "sat", "the"}));
  EXPECT_EQ(words_of(text, "english"), (Words{"cat", "dog", "matter", "sat"}));
  EXPECT_EQ(words_of(u8"well‑known well-known soft\u00ADly"), (Words{"softly", "well-known"}));
}

TEST(Unicode, WordsAreComposedAndInLowerCase) {
  EXPECT_EQ(words_of(u8"ÉTÉ e\u0301te\u0301 été"), (Words{u8"été"}));
  EXPECT_EQ(words_of(u8"ПРИВЕТ Привет"), (Words{u8"привет"}));
  EXPECT_EQ(words_of(u8"ΟΔΟΣ"), (Words{u8"οδος"}));  // a sigma that ends a word
  EXPECT_EQ(words_of(u8"नमस्ते दुनिया"), (Words{u8"दुनिया", u8"नमस्ते"}));
}

TEST(Unicode, ScriptsWithoutBlanksAreCut) {
  EXPECT_EQ(words_of(u8"北京大学生喝水"), (Words{u8"北京", u8"喝水", u8"大学生"}));
  EXPECT_EQ(words_of(u8"สวัสดีครับ"), (Words{u8"ครับ", u8"สวัสดี"}));
}

TEST(Unicode, StopWordsAreReadAsTextsAre) {
  const TemporaryFolder folder;
  EXPECT_EQ(words_of("The cat doesn't", folder.write("stop.txt", u8"THE\ndoesn’t\n")), (Words{"cat"}));
}

// What earlier versions made of it: their runs go on with it.
TEST(Unicode, TheRuleOfEarlierVersionsIsThereStill) {
  EXPECT_EQ(words_of(u8"“the cat” sat", "none", Tokenization::bytes), (Words{u8"cat”", "sat", u8"“the"}));
}

TEST(Unicode, SymbolsWithoutBlanksAreCharacters) {
  const TemporaryFolder folder;
  SequenceOptions options;
  options.format = SequenceFormat::symbols;
  const Dataset data = read_sequences(folder.write("s.txt", u8"äbä\ne\u0301b\n"), options);
  EXPECT_EQ(symbols_of(data.schema.feature_names), (Words{"b", u8"e\u0301", u8"ä"}));
  EXPECT_EQ(data.columns.at("x").numel(), 5);
}

/// What the reader says about a file of these bytes, without its path.
std::string refusal(const std::string& name, const std::string& bytes, const std::string& vocabulary = "") {
  const TemporaryFolder folder;
  DataOptions options;
  options.source = folder.write(name, bytes);
  if (!vocabulary.empty()) options.corpus.vocabulary = folder.write("v.vocab", vocabulary);
  const std::string message = message_of<DataError>([&] { load_splits(options); });
  return message.substr(folder.path().string().size() + 1);
}

TEST(Unicode, OtherEncodingsAreRefusedWhereTheyAreRead) {
  const std::string latin = "Les caf\xe9s de la ville sont ferm\xe9s pendant l'\xe9t\xe9, dit-il.\n";
  const std::string said =
      "is not UTF-8: byte 8 of the line is 0xE9; it may be ISO-8859-1, which `iconv -f ISO-8859-1 -t UTF-8` converts";
  EXPECT_EQ(refusal("a.txt", "one\n" + latin), "a.txt:2: " + said);
  EXPECT_EQ(refusal("a.mallet", "d x " + latin).substr(0, 36), "a.mallet:1: is not UTF-8: byte 12 of");
  EXPECT_EQ(refusal("a.csv", "a,b\n1,2\n\xe9t\xe9,3\n").substr(0, 37), "a.csv:3: is not UTF-8: byte 1 of the ");
  EXPECT_EQ(refusal("a.low", "1\n\xe9t\xe9\n").substr(0, 22), "a.low:2: is not UTF-8:");
  EXPECT_EQ(refusal("a.fa", ">caf\xe9\nACGT\n").substr(0, 21), "a.fa:1: is not UTF-8:");
  EXPECT_EQ(refusal("a.ldac", "1 0:1\n", "caf\xe9\n").substr(0, 24), "v.vocab:1: is not UTF-8:");
  EXPECT_NE(refusal("a.txt", "\xed\xa0\x80 half of a pair\n").find("is not UTF-8: byte 1 of the line"),
            std::string::npos);
}

TEST(Unicode, Utf16IsNamed) {
  const std::string little(
      "\xff\xfe"
      "a\0,\0b\0\n\0"
      "1\0,\0"
      "2\0\n\0",
      18),
      big("\0a\0 \0t\0e\0x\0t\0\n", 14);
  EXPECT_EQ(refusal("a.csv", little),
            "a.csv:1: is not UTF-8: byte 1 of the line is 0xFF; it may be UTF-16LE, which `iconv -f UTF-16LE -t UTF-8` "
            "converts");
  EXPECT_EQ(refusal("a.txt", little).substr(0, 35), "a.txt: is text in UTF-16LE, UTF-8 i");
  EXPECT_EQ(refusal("a.txt", big).substr(0, 35), "a.txt: is text in UTF-16BE, UTF-8 i");
}

TEST(Unicode, AByteOrderMarkIsNoPartOfTheText) {
  const TemporaryFolder folder;
  const std::string mark = "\xef\xbb\xbf";
  EXPECT_EQ(words_of(mark + "one two"), (Words{"one", "two"}));
  DataOptions options;
  options.source = folder.write("t.csv", mark + "a,b\n1,2\n3,4\n");
  EXPECT_EQ(load_splits(options).train.schema.feature_names, (Words{"a", "b"}));
  options.source = folder.write("d.dat", mark + ">one\nACGT\n");
  EXPECT_EQ(symbols_of(load_splits(options).train.schema.feature_names), (Words{"A", "C", "G", "T"}));
}

}  // namespace unicode_test
}  // namespace vem
