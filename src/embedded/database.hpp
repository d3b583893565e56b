// The words of the database, as this module uses them.
#pragma once

#include "sqlite/database.hpp"

namespace bale::embedded {

using sqlite::Blob;
using sqlite::Database;
using sqlite::Query;
using sqlite::Savepoint;
using sqlite::Snapshot;
using sqlite::Transaction;
using sqlite::UncertainCommit;

}  // namespace bale::embedded
