// Student-t likelihood with given degrees of freedom: between the normal and distributions whose variance diverges.
#include "vem/dist/student_t.h"

#include "location_scale.h"

namespace vem {
namespace {

struct StudentOptions final : LocationScaleOptions {
  double degrees_of_freedom = 5;
  void visit(OptionVisitor& v) override {
    v("degrees_of_freedom", degrees_of_freedom, {1.01, 1e6}, "smaller: heavier tails; the variance needs more than 2");
    LocationScaleOptions::visit(v);
  }
  double std() const { return degrees_of_freedom > 2 ? std::sqrt(degrees_of_freedom / (degrees_of_freedom - 2)) : 1; }
};

class StudentLikelihood final : public LocationScale {
 public:
  StudentLikelihood(const StudentOptions& options, const Context& context)
      : LocationScale(options, context, options.std()), degrees_of_freedom_(options.degrees_of_freedom) {}

 protected:
  std::shared_ptr<const Distribution> at(const Tensor& outputs) const override {
    return std::make_shared<StudentT>(at::full({}, degrees_of_freedom_, outputs.options()), location(outputs),
                                      scale(outputs));
  }

 private:
  double degrees_of_freedom_;
};

}  // namespace

void register_student_likelihood(Registry& registry) {
  registry.add<Likelihood, StudentOptions>("student-t", "real numbers with heavy tails",
                                           [](const StudentOptions& options, const Likelihood::Context& context) {
                                             return std::make_shared<StudentLikelihood>(options, context);
                                           });
}

}  // namespace vem
