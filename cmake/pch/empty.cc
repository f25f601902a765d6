// The one file of each library tnb_pch_NAME, which is there so that NAME.h is precompiled once for all
// targets.
