#include "mount/frame_cache.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace bale::mount {

FrameCache::Frame FrameCache::get(std::int64_t archive, ByteCount offset, ByteCount end, const Load& load,
                                  const std::stop_token& stop) {
  const Key key{archive, offset};
  Lock lock(mutex_);
  for (;;) {
    if (Frame frame = kept(key)) return frame;
    const std::shared_ptr<Flight> flight = flight_over(key);
    if (!flight) break;
    if (!landed_.wait(lock, stop, [&] { return flight->done; }))
      throw Error(ErrorKind::cancelled, "stopped while waiting for a frame");
    // It may be pushed out again already by the time that this reader runs.
    for (const Frame& frame : flight->frames) {
      if (frame->offset == offset) return frame;
    }
    if (flight->failure && flight->begin == offset) std::rethrow_exception(flight->failure);
  }
  const auto flight = std::make_shared<Flight>(Flight{archive, offset, std::max(end, offset + 1)});
  flights_.push_back(flight);
  lock.unlock();
  return fly(flight, load);
}

FrameCache::Frame FrameCache::fly(const std::shared_ptr<Flight>& flight, const Load& load) {
  std::vector<Frame> frames;
  std::exception_ptr failure;
  try {
    frames = load();
    const bool is_there = !frames.empty() && frames.front()->offset == flight->begin;
    if (!is_there) throw Error(ErrorKind::internal, "a frame was asked for, and another one was read");
  } catch (...) {
    failure = std::current_exception();
    frames.clear();
  }
  {
    const Lock lock(mutex_);
    flight->done = true;
    flight->frames = frames;
    flight->failure = failure;
    flights_.erase(std::find(flights_.begin(), flights_.end(), flight));
    // The first is wanted now: it is kept longest.
    for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) keep(flight->archive, *frame);
  }
  landed_.notify_all();
  if (failure) std::rethrow_exception(failure);
  return frames.front();
}

ByteCount FrameCache::bytes() const {
  const Lock lock(mutex_);
  return bytes_;
}

FrameCache::Frame FrameCache::kept(const Key& key) {
  const auto found = places_.find(key);
  if (found == places_.end()) return nullptr;
  frames_.splice(frames_.begin(), frames_, found->second);
  return found->second->second;
}

std::shared_ptr<FrameCache::Flight> FrameCache::flight_over(const Key& key) {
  const auto found = std::find_if(flights_.begin(), flights_.end(), [&](const std::shared_ptr<Flight>& flight) {
    return flight->archive == key.first && flight->begin <= key.second && key.second < flight->end;
  });
  return found == flights_.end() ? nullptr : *found;
}

void FrameCache::keep(std::int64_t archive, const Frame& frame) {
  const Key key{archive, frame->offset};
  if (kept(key)) return;
  frames_.emplace_front(key, frame);
  places_[key] = frames_.begin();
  bytes_ += frame->bytes.size();
  while (bytes_ > limit_ && frames_.size() > 1) {
    bytes_ -= frames_.back().second->bytes.size();
    places_.erase(frames_.back().first);
    frames_.pop_back();
  }
}

}  // namespace bale::mount
