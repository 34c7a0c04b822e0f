// The options of a fit, each only where it has an effect.
#include "vem/train/fit.h"

namespace vem {

void FitOptions::visit(OptionVisitor& v) {
  v("epochs", epochs, at_least(1), "passes over the data at most");
  v("batch_size", batch_size, at_least(0), "items a batch; 0: all");
  v.when(batch_size > 0, "train.batch_size is positive", [&] {
    v.when(!has_gradient && !sampled, "every block is updated in closed form, and not by sampling", [&] {
      v("memoised", memoised,
        "keep each batch's sums and replace them: monotone, no step size (Hughes and Sudderth 2013)");
    });
    v.when(!memoised && !sampled, "train.memoised is false and model.estimate is not gibbs", [&] {
      v("update_every", update_every, at_least(0), "batches an M-step; 0: one M-step a pass");
      v("shuffle", shuffle, "visit the items in a new order each epoch");
      v.when(has_conjugate && update_every != 0, "some block is updated in closed form from a part of the data",
             [&] { v("rho", rho, "step size of stochastic closed-form updates"); });
    });
  });
  v.when(!has_gradient && !sampled && (batch_size == 0 || memoised || update_every == 0),
         "every block is updated in closed form from all of the data, and not by sampling", [&] {
           v("tolerance", tolerance, at_least(0),
             "stop when a pass raises the bound by less, in nats per item; 0: never");
         });
  v.when(sampled, "model.estimate is gibbs", [&] {
    v("burn_in", burn_in, at_least(0), "first so many passes whose draws are not kept");
    v("thin", thin, at_least(1), "of the later draws, every so many are kept");
  });
  v.when(!has_gradient && !sampled && batch_size == 0,
         "every block is updated in closed form and train.batch_size is 0", [&] {
           v("acceleration", acceleration, {{"none", Acceleration::none}, {"squarem", Acceleration::squarem}},
             "extrapolate along the path of two passes, kept if the exact bound has risen (Varadhan and Roland 2008)");
           v("moves", moves,
             "merge, delete and birth of components whenever the fit has converged, kept if the exact bound has risen");
           v.when(moves, "train.moves is true", [&] {
             v("move_passes", move_passes, at_least(0), "passes after a move before bounds are compared");
           });
         });
  v.when(has_validation, "data.validation is positive or data.validation_file is set", [&] {
    v("patience", patience, at_least(0), "stop after so many epochs without a better validation bound; 0: never");
  });
  v("max_minutes", max_minutes, at_least(0), "stop after so much time, with a checkpoint; 0: no limit");
}

}  // namespace vem
