// libfuse, in the version of its interface that Bale speaks.
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
