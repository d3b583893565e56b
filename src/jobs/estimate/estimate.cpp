#include "jobs/estimate/estimate.hpp"

#include "base/mutex.hpp"
#include "store/listing.hpp"
#include "store/read_exactly.hpp"

namespace bale::estimate {
namespace {

void stop_if_asked(const Place& place) {
  if (place.world.stop.stop_requested())
    throw Error(ErrorKind::cancelled, "stopped", to_uri(place.bucket, ObjectKey(place.prefix)));
}

void take_stock(const Place& place, Inventory& inventory, const std::function<void(std::uint64_t)>& listed) {
  store::Listing pages(place.store, place.bucket, {.prefix = place.prefix});
  for (;;) {
    stop_if_asked(place);
    const auto page = pages.next();
    if (!page) return;
    for (const store::ListedObject& object : page->objects) inventory.add(object);
    listed(inventory.all().objects);
  }
}

Buffer read_piece(const Place& place, const Piece& piece) {
  return store::read_range(place.store, {place.bucket, piece.object.key},
                           store::ByteRange::at(piece.offset, piece.bytes), {.if_match = piece.object.etag});
}

}  // namespace

Findings examine(const Place& place, const SampleLimits& limits, const compression::CostModel& cost,
                 const std::function<void(std::uint64_t)>& listed) {
  Findings findings{.inventory = Inventory(limits.objects, place.world.entropy)};
  take_stock(place, findings.inventory, listed);
  const std::vector<Piece> pieces =
      plan_pieces(findings.inventory.drawn(), limits.piece, limits.bytes, place.world.entropy);
  std::vector<Sample> samples(pieces.size());
  Mutex mutex;  // guards findings.unread and first_unread
  flow::TaskGroup tasks;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    tasks.run(place.pools.connections, [&, i] {
      stop_if_asked(place);
      try {
        samples[i] = {pieces[i].object.key.str(), read_piece(place, pieces[i])};
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled) throw;
        const Lock lock(mutex);
        ++findings.unread;
        if (!findings.first_unread) findings.first_unread = error;
      }
    });
  }
  tasks.wait();
  findings.predicted = predict(std::move(samples), cost);
  return findings;
}

}  // namespace bale::estimate
