// What connections tell the Network that owns them. All on its loop; never from within a call of
// the Network.
#pragma once

#include <boost/system/error_code.hpp>

#include "src/base/bytes.h"
#include "src/base/result.h"
#include "src/raft/types.h"

namespace raftkv::net {

class Inbound;

struct OutboundEvents {
  virtual ~OutboundEvents() = default;
  virtual void outbound_connected(raft::MemberId peer) = 0;
  // What a failure is, beside all others since there was a connection.
  struct News {
    bool failing = false;  // the first
    bool gone = false;     // the first that says that the peer's process is gone
  };
  // A connection has ended, or none came about. It will be tried again.
  virtual void outbound_failed(raft::MemberId peer, const boost::system::error_code& why,
                               News news) = 0;
};

struct InboundEvents {
  virtual ~InboundEvents() = default;
  virtual Status inbound_frame(Inbound& connection, SharedBytes frame) = 0;
  // The connection has ended, by the other side. Destroys nothing: the Network lets go of it.
  virtual void inbound_closed(Inbound& connection, const boost::system::error_code& why) = 0;
  // What it sent was refused: by the reader or by inbound_frame.
  virtual void inbound_refused(Inbound& connection, const Error& why) = 0;
};

}  // namespace raftkv::net
