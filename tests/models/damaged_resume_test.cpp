// A checkpoint's trainer state that does not fit the model, the data or the options is refused by name before any of it
// is used: a missing column of per-item state used to be written beyond its end.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/models.h"
#include "support/stop_after.h"
#include "support/temporary_folder.h"
#include "vem/core/error.h"

namespace vem {
namespace damaged_resume_test {

struct Case {
  std::string variant;
  bool memoised, squarem;
};

class DamagedResume : public testing::TestWithParam<Case> {
 protected:
  DamagedResume() {
    for (const Variant& v : variants("float64"))
      if (v.name == GetParam().variant) toml_ = v.toml, data_ = sample_data(v.sample);
    options_.epochs = 6;
    options_.tolerance = 0;
    options_.batch_size = GetParam().squarem ? 0 : 16;
    options_.memoised = GetParam().memoised;
    if (GetParam().squarem) options_.acceleration = FitOptions::Acceleration::squarem;
    StopAfter stop(GetParam().squarem ? 2 : 6);
    fit(*make_model(toml_, data_), data_, options_, {plugins(), nullptr, nullptr, {&stop}});
    state_ = stop.state();
  }

  /// What the refusal of a state says; "" where it is taken.
  std::string refusal(const TensorMap& state) const {
    const auto model = make_model(toml_, data_);
    model->load(state);
    FitContext context{plugins(), nullptr, nullptr, {}, &state};
    context.resume_from = "last.safetensors";
    try {
      fit(*model, data_, options_, context);
    } catch (const DataError& e) {
      return e.what();
    }
    return "";
  }

  std::string toml_;
  Dataset data_;
  FitOptions options_;
  TensorMap state_;
};

TEST_P(DamagedResume, EveryEntryIsCheckedByName) {
  ASSERT_EQ(refusal(state_), "");
  int64_t entries = 0;
  for (const auto& [key, value] : state_) {
    if (key.rfind("trainer/", 0) != 0) continue;
    ++entries;
    TensorMap wrong = state_;
    wrong[key] = at::zeros({7, 11}, value.options());
    EXPECT_NE(refusal(wrong).find("last.safetensors: can not be resumed from: " + key), std::string::npos) << key;
    wrong[key] = value.to(value.scalar_type() == at::kHalf ? at::kFloat : at::kHalf);
    EXPECT_NE(refusal(wrong).find(key), std::string::npos) << key;
    wrong = state_;
    wrong.erase(key);
    // Files of earlier versions have no bounds of past epochs, and the path of an extrapolation may be empty.
    if (key == "trainer/judged" || key.rfind("trainer/extrapolation/", 0) == 0) continue;
    EXPECT_NE(refusal(wrong), "") << key;
  }
  EXPECT_GT(entries, 4);
  TensorMap more = state_;
  more["trainer/more"] = at::zeros({});
  EXPECT_EQ(refusal(more),
            "last.safetensors: can not be resumed from: trainer/more: is no part of this model's training");
}

TEST_P(DamagedResume, CountersAreInRange) {
  for (const auto& [place, value] :
       std::vector<std::pair<int64_t, int64_t>>{{0, -1}, {1, -1}, {1, 60}, {2, -5}, {3, 9}}) {
    TensorMap wrong = state_;
    wrong["trainer/counters"] = wrong.at("trainer/counters").clone();
    wrong["trainer/counters"][place] = value;
    EXPECT_NE(refusal(wrong).find("trainer/counters: "), std::string::npos) << place << " " << value;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, DamagedResume,
                         testing::Values(Case{"gmm_full_posterior", false, false},
                                         Case{"gmm_full_posterior", true, false},
                                         Case{"gmm_full_posterior", false, true}, Case{"lda_posterior", false, false},
                                         Case{"lda_posterior", true, false}, Case{"vae_local", false, false}),
                         [](const auto& info) {
                           return info.param.variant + (info.param.memoised ? "_memoised" : "") +
                                  (info.param.squarem ? "_squarem" : "");
                         });

}  // namespace damaged_resume_test
}  // namespace vem
