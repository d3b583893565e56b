// The functions that libfuse calls: each finds its Service, and no exception gets past it.
#include "base/error.hpp"
#include "mount/service.hpp"

namespace bale::mount {
namespace {

Service& service_of(fuse_req_t request) { return *static_cast<Service*>(fuse_req_userdata(request)); }

/// `work` answers the request, or throws before it does.
template <typename Work>
void answer(fuse_req_t request, Work work) {
  Service& service = service_of(request);
  try {
    work(service);
  } catch (...) {
    service.fail(request, current_error());
  }
}

void on_init(void*, fuse_conn_info* connection) {
  connection->time_gran = 1'000'000;  // nanoseconds: times of S3 are milliseconds
  // Attributes come with the names, always: they cost nothing more, and asking for each would.
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_READDIRPLUS_AUTO);
}
void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  answer(request, [&](Service& service) { service.lookup(request, parent, name); });
}
void on_getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info*) {
  answer(request, [&](Service& service) { service.get_attributes(request, node); });
}
void on_open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  answer(request, [&](Service& service) { service.open(request, node, file); });
}
void on_read(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* file) {
  answer(request, [&](Service& service) { service.read(request, size, offset, file); });
}
void on_release(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  answer(request, [&](Service& service) { service.release(request, file); });
}
void on_opendir(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  answer(request, [&](Service& service) { service.open_directory(request, node, file); });
}
void on_readdir(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset, fuse_file_info* file) {
  answer(request, [&](Service& service) { service.list(request, node, size, offset, file, false); });
}
void on_readdirplus(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset, fuse_file_info* file) {
  answer(request, [&](Service& service) { service.list(request, node, size, offset, file, true); });
}
void on_releasedir(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  answer(request, [&](Service& service) { service.release_directory(request, file); });
}
void on_statfs(fuse_req_t request, fuse_ino_t) {
  answer(request, [&](Service& service) { service.statistics(request); });
}
void on_getxattr(fuse_req_t request, fuse_ino_t node, const char* name, std::size_t size) {
  answer(request, [&](Service& service) { service.get_extended(request, node, name, size); });
}
void on_listxattr(fuse_req_t request, fuse_ino_t node, std::size_t size) {
  answer(request, [&](Service& service) { service.list_extended(request, node, size); });
}

}  // namespace

const fuse_lowlevel_ops& Service::operations() {
  static const fuse_lowlevel_ops all = [] {
    fuse_lowlevel_ops ops{};
    ops.init = on_init;
    ops.lookup = on_lookup;
    ops.getattr = on_getattr;
    ops.open = on_open;
    ops.read = on_read;
    ops.release = on_release;
    ops.opendir = on_opendir;
    ops.readdir = on_readdir;
    ops.readdirplus = on_readdirplus;
    ops.releasedir = on_releasedir;
    ops.statfs = on_statfs;
    ops.getxattr = on_getxattr;
    ops.listxattr = on_listxattr;
    return ops;
  }();
  return all;
}

}  // namespace bale::mount
