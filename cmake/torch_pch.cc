// The one file of tnb_torch_pch: it is there so that <ATen/ATen.h> is precompiled once for all targets.
