#include "control/variant_watch.hpp"

#include "penstock/proxy/variants.hpp"

namespace penstock::control {

void VariantWatch::Look(const proxy::Snapshot& snapshot, WallTime wall) {
  for (const proxy::ModelRoute& model : snapshot.models) {
    std::size_t cluster = model.cluster;
    for (const proxy::VariantRoute& variant : model.variants) {
      const double load = proxy::LoadOf(snapshot.clusters[cluster]);
      const std::string& name = snapshot.models[variant.model].name;
      cluster = snapshot.models[variant.model].cluster;
      Seen& seen = seen_[variant.moved.get()];
      seen.generation = snapshot.generation;
      const bool moved = variant.moved->Update(load);
      const std::uint64_t times = variant.moved->times();
      if (times != seen.times) {
        log_.Warn(wall, "requests move to a variant",
                  {{"model", model.name}, {"variant", name}, {"load", load}, {"times", times - seen.times}});
      }
      if (!moved && (seen.moved || times != seen.times))
        log_.Info(wall, "requests move back", {{"model", model.name}, {"variant", name}, {"load", load}});
      seen.moved = moved;
      seen.times = times;
    }
  }
  std::erase_if(seen_, [&](const auto& each) { return each.second.generation != snapshot.generation; });
}

}  // namespace penstock::control
