// Reports as lines of JSON, flushed one by one.
#include "metrics_log.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "vem/core/error.h"
#include "vem/core/json_depth.h"
#include "vem/data/writers.h"

namespace vem {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no NaN.
Json number(double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); }

Json numbers(const std::vector<double>& values) {
  if (values.size() == 1) return number(values[0]);
  Json list = Json::array();
  for (const double value : values) list.push_back(number(value));
  return list;
}

/// The epoch that a line belongs to; -1 for one that is broken (a crash may have cut it) or that ends a log.
int64_t epoch_of(const std::string& line) {
  try {
    const Json json = Json::parse(checked_json_depth(line));
    const auto it = json.find("epoch");
    const bool whole = json.is_object() && it != json.end() && it->is_number_integer() && !json.contains("stopped");
    return whole ? it->get<int64_t>() : -1;
  } catch (const std::exception&) {
    return -1;
  }
}

}  // namespace

std::string lines_of_epochs(const std::string& text, int64_t epochs_done) {
  std::istringstream in(text);
  std::string kept;
  int64_t reported = 0;  // the last epoch whose report was kept
  for (std::string line; std::getline(in, line);) {
    const int64_t epoch = epoch_of(line);
    if (epoch < 0 || epoch > epochs_done) continue;
    const bool report = line.find("\"warning\"") == std::string::npos;
    if (report && epoch <= reported) continue;  // the same epoch twice
    if (report) reported = epoch;
    kept += line + "\n";
  }
  return kept;
}

void MetricsLog::on_start(const Model&, int64_t, int64_t) {
  std::ostringstream old;
  if (epoch_ > 0) old << std::ifstream(path_).rdbuf();
  write_text(path_, lines_of_epochs(old.str(), epoch_));
  out_.open(path_, std::ios::app);
}

bool MetricsLog::on_epoch(const Model&, const EpochReport& r, const std::function<TensorMap()>&) {
  epoch_ = r.epoch;
  Json line{{"epoch", r.epoch}, {"iteration", r.iteration}, {"bound", number(r.bound)}};
  if (!std::isnan(r.validation_bound)) line["validation_bound"] = number(r.validation_bound);
  line["improved"] = r.improved;
  for (const auto& [name, value] : r.weights) line[name] = number(value);
  line["items_per_second"] = number(std::round(r.items_per_second));
  for (const auto& [name, values] : r.metrics) line[name] = numbers(values);
  write(line.dump());
  return true;
}

void MetricsLog::on_end(const Model&, const std::string& reason, const std::function<TensorMap()>&) {
  write(Json{{"epoch", epoch_}, {"stopped", reason}}.dump());
}

void MetricsLog::on_warning(const std::string& text) { write(Json{{"epoch", epoch_}, {"warning", text}}.dump()); }

void MetricsLog::write(const std::string& line) {
  out_ << line << std::endl;
  if (!out_) fail<OutputError>("{}: can not be written; is the disk full?", path_);
}

}  // namespace vem
