#include "tests/storage/test_disk.h"

#include <algorithm>
#include <iterator>

namespace raftkv::storage {
namespace {

leveldb::Status missing(const std::string& path) {
  return leveldb::Status::NotFound(path, "No such file or directory");
}
leveldb::Status broken(const std::string& path) {
  return leveldb::Status::IOError(path, "No space left on device");
}

class TestLock final : public leveldb::FileLock {
 public:
  explicit TestLock(std::string name) : path(std::move(name)) {}
  std::string path;
};

class TestSequentialFile final : public leveldb::SequentialFile {
 public:
  explicit TestSequentialFile(std::string bytes) : bytes_(std::move(bytes)) {}
  leveldb::Status Read(size_t n, leveldb::Slice* result, char* scratch) override {
    const std::size_t size = bytes_.copy(scratch, n, at_);
    at_ += size;
    *result = {scratch, size};
    return leveldb::Status::OK();
  }
  leveldb::Status Skip(std::uint64_t n) override {
    at_ = std::min<std::size_t>(at_ + n, bytes_.size());
    return leveldb::Status::OK();
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

class TestRandomAccessFile final : public leveldb::RandomAccessFile {
 public:
  TestRandomAccessFile(std::string bytes, std::shared_ptr<TestDisk::Reads> reads)
      : bytes_(std::move(bytes)), reads_(std::move(reads)) {}
  leveldb::Status Read(std::uint64_t offset, size_t n, leveldb::Slice* result,
                       char* scratch) const override {
    const std::size_t size = offset < bytes_.size() ? bytes_.copy(scratch, n, offset) : 0;
    *result = {scratch, size};
    reads_->bytes += size;
    if (reads_->hook) reads_->hook();
    return leveldb::Status::OK();
  }

 private:
  std::string bytes_;
  std::shared_ptr<TestDisk::Reads> reads_;
};

}  // namespace

// Buffers in the process until it is flushed, as LevelDB's own does.
class TestWritableFile final : public leveldb::WritableFile {
 public:
  TestWritableFile(TestDisk& disk, std::string path, std::shared_ptr<TestDisk::Node> node)
      : disk_(disk), path_(std::move(path)), node_(std::move(node)) {}
  ~TestWritableFile() override { node_->bytes.append(buffer_); }

  leveldb::Status Append(const leveldb::Slice& data) override {
    const bool fails = disk_.fails(path_);
    buffer_.append(data.data(), fails ? data.size() / 2 : data.size());
    return fails ? broken(path_) : leveldb::Status::OK();
  }
  leveldb::Status Flush() override {
    const bool fails = disk_.fails(path_);
    node_->bytes.append(buffer_, 0, fails ? buffer_.size() / 2 : buffer_.size());
    buffer_.clear();
    return fails ? broken(path_) : leveldb::Status::OK();
  }
  leveldb::Status Sync() override {
    if (const auto status = Flush(); !status.ok()) return status;
    if (disk_.fails(path_)) return broken(path_);
    node_->durable = node_->bytes;
    return leveldb::Status::OK();
  }
  leveldb::Status Close() override { return Flush(); }

 private:
  TestDisk& disk_;
  std::string path_;
  std::shared_ptr<TestDisk::Node> node_;
  std::string buffer_;
};

TestDisk::TestDisk() : Disk(leveldb::Env::Default()) {
  nodes_["/"] = std::make_shared<Node>(Node{.directory = true, .bytes = {}, .durable = {}});
  durable_ = nodes_;
}

bool TestDisk::fails(const std::string& path) {
  if (path.find(fail_only_) == std::string::npos) return false;
  if (hook_) hook_();
  ++operations_;
  if (fail_at_ == 0 || operations_ < fail_at_) return false;
  if (operations_ > fail_at_ && !keep_failing_) return false;
  ++failures_;
  return true;
}

std::unique_ptr<TestDisk> TestDisk::image(bool power_lost) const {
  auto copy = std::make_unique<TestDisk>();
  for (const auto& [path, node] : power_lost ? durable_ : nodes_) {
    // What lies in a directory that is not there is not there.
    if (path != "/" && copy->find(directory_of(path)) == nullptr) continue;
    const std::string& bytes = power_lost ? node->durable : node->bytes;
    copy->nodes_[path] = std::make_shared<Node>(
        Node{.directory = node->directory, .bytes = bytes, .durable = bytes});
  }
  copy->durable_ = copy->nodes_;
  return copy;
}

std::shared_ptr<TestDisk::Node> TestDisk::find(const std::string& path) const {
  const auto found = nodes_.find(path);
  return found == nodes_.end() ? nullptr : found->second;
}

std::vector<std::string> TestDisk::files() const {
  std::vector<std::string> paths;
  for (const auto& [path, node] : nodes_) {
    if (!node->directory) paths.push_back(path);
  }
  return paths;
}

std::string TestDisk::contents(const std::string& path) const {
  return nodes_.at(path)->bytes;
}

void TestDisk::set_contents(const std::string& path, std::string bytes) {
  auto& node = nodes_[path];
  if (node == nullptr) node = std::make_shared<Node>();
  node->bytes = node->durable = std::move(bytes);
}

void TestDisk::restore(const std::string& directory, const TestDisk& from) {
  const auto below = [&](const std::string& path) { return path.starts_with(directory + "/"); };
  std::erase_if(nodes_, [&](const auto& entry) { return below(entry.first); });
  for (const auto& [path, node] : from.nodes_) {
    if (below(path)) nodes_[path] = std::make_shared<Node>(*node);
  }
  durable_ = nodes_;
}

void TestDisk::run_background_work() {
  while (!background_.empty()) {
    const auto [function, argument] = background_.front();
    background_.erase(background_.begin());
    function(argument);
  }
}

leveldb::Status TestDisk::sync_directory(const std::string& path) {
  if (find(path) == nullptr) return missing(path);
  if (fails(path)) return broken(path);
  const auto inside = [&](const auto& entry) {
    return entry.first != "/" && directory_of(entry.first) == path;
  };
  std::erase_if(durable_, inside);
  std::copy_if(nodes_.begin(), nodes_.end(), std::inserter(durable_, durable_.end()), inside);
  return leveldb::Status::OK();
}

leveldb::Status TestDisk::NewSequentialFile(const std::string& name,
                                            leveldb::SequentialFile** file) {
  const auto node = find(name);
  if (node == nullptr) return missing(name);
  *file = new TestSequentialFile(node->bytes);
  return leveldb::Status::OK();
}

leveldb::Status TestDisk::NewRandomAccessFile(const std::string& name,
                                              leveldb::RandomAccessFile** file) {
  const auto node = find(name);
  if (node == nullptr) return missing(name);
  *file = new TestRandomAccessFile(node->bytes, reads_);
  return leveldb::Status::OK();
}

leveldb::Status TestDisk::NewWritableFile(const std::string& name, leveldb::WritableFile** file) {
  return open_for_writing(name, /*truncate=*/true, file);
}

leveldb::Status TestDisk::NewAppendableFile(const std::string& name, leveldb::WritableFile** file) {
  return open_for_writing(name, /*truncate=*/false, file);
}

leveldb::Status TestDisk::open_for_writing(const std::string& name, bool truncate,
                                           leveldb::WritableFile** file) {
  *file = nullptr;
  if (find(directory_of(name)) == nullptr) return missing(name);
  if (fails(name)) return broken(name);
  auto& node = nodes_[name];
  if (node == nullptr) node = std::make_shared<Node>();
  // A truncation reaches the device at any time: at once is the worst.
  if (truncate) node->bytes = node->durable = {};
  *file = new TestWritableFile(*this, name, node);
  return leveldb::Status::OK();
}

bool TestDisk::FileExists(const std::string& name) {
  return find(name) != nullptr;
}

leveldb::Status TestDisk::GetChildren(const std::string& directory,
                                      std::vector<std::string>* names) {
  names->clear();
  const auto node = find(directory);
  if (node == nullptr || !node->directory) return missing(directory);
  for (const auto& [path, child] : nodes_) {
    if (path != "/" && directory_of(path) == directory) {
      names->push_back(path.substr(path.rfind('/') + 1));
    }
  }
  return leveldb::Status::OK();
}

leveldb::Status TestDisk::RemoveFile(const std::string& name) {
  return nodes_.erase(name) == 1 ? leveldb::Status::OK() : missing(name);
}

leveldb::Status TestDisk::CreateDir(const std::string& name) {
  if (find(directory_of(name)) == nullptr) return missing(name);
  if (find(name) != nullptr) return leveldb::Status::IOError(name, "File exists");
  if (fails(name)) return broken(name);
  nodes_[name] = std::make_shared<Node>(Node{.directory = true, .bytes = {}, .durable = {}});
  return leveldb::Status::OK();
}

leveldb::Status TestDisk::RemoveDir(const std::string& name) {
  return RemoveFile(name);
}

leveldb::Status TestDisk::GetFileSize(const std::string& name, std::uint64_t* size) {
  const auto node = find(name);
  if (node == nullptr) return missing(name);
  *size = node->bytes.size();
  return leveldb::Status::OK();
}

leveldb::Status TestDisk::RenameFile(const std::string& from, const std::string& to) {
  const auto node = find(from);
  if (node == nullptr) return missing(from);
  if (fails(to)) return broken(to);
  nodes_[to] = node;
  nodes_.erase(from);
  return leveldb::Status::OK();
}

leveldb::Status TestDisk::LockFile(const std::string& name, leveldb::FileLock** lock) {
  if (find(directory_of(name)) == nullptr) return missing(name);
  if (!locks_.insert(name).second) return leveldb::Status::IOError(name, "already held");
  if (find(name) == nullptr) nodes_[name] = std::make_shared<Node>();
  *lock = new TestLock(name);
  return leveldb::Status::OK();
}

leveldb::Status TestDisk::UnlockFile(leveldb::FileLock* lock) {
  const std::unique_ptr<TestLock> owned(static_cast<TestLock*>(lock));
  locks_.erase(owned->path);
  return leveldb::Status::OK();
}

void TestDisk::Schedule(void (*function)(void*), void* argument) {
  background_.emplace_back(function, argument);
}

}  // namespace raftkv::storage
