// Brackets of JSON are counted outside of strings only.
#include "vem/core/json_depth.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "vem/core/error.h"

namespace vem {
namespace json_depth_test {

TEST(JsonDepth, TheLimitIsTheDeepestThatIsTaken) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(checked_json_depth(nested(64)), nested(64));
  EXPECT_EQ(message_of<DataError>([&] { checked_json_depth(nested(65)); }),
            "JSON that is nested more than 64 deep, at byte 64");
  EXPECT_THROW(checked_json_depth(std::string(300000, '[')), DataError);
  EXPECT_THROW(checked_json_depth("{\"a\":{\"b\":[1]}}", 2), DataError);
  EXPECT_NO_THROW(checked_json_depth("{\"a\":{\"b\":[1]}}", 3));
}

TEST(JsonDepth, BracketsInStringsDoNotCount) {
  const std::string text = "[\"" + std::string(100, '[') + "\\\"" + std::string(100, '{') + "\\\\\", [1]]";
  EXPECT_EQ(checked_json_depth(text, 2), text);
  EXPECT_THROW(checked_json_depth(text, 1), DataError);
}

}  // namespace json_depth_test
}  // namespace vem
